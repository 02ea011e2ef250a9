// Two sets of key fields -> what differs between them, in words. What `mesa plan` says in a line and `mesa why` in full.

import type { Canonical } from './canonical.ts';
import type { History } from './action-cache.ts';
import { isDigest } from './digest.ts';
import type { KeyFields } from './key.ts';

export interface Difference {
  /** `code`, `seed`, `numerics`, `params.sample.n`, `inputs.data`. */
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
  /** Such as "r 8 → 16", "file train.jsonl changed", "input data changed". */
  readonly text: string;
}

const MAX_VALUE = 40;

const isList = (value: Canonical | undefined): value is readonly Canonical[] =>
  Array.isArray(value);
const isMap = (value: Canonical | undefined): value is { readonly [key: string]: Canonical } =>
  typeof value === 'object' && value !== null && !isList(value);

/** [name, digest] of a path parameter. */
const isFile = (value: Canonical | undefined): value is readonly [string, string] =>
  isList(value) &&
  value.length === 2 &&
  typeof value[0] === 'string' &&
  typeof value[1] === 'string' &&
  isDigest(value[1]);

const show = (value: Canonical | undefined): string | null => {
  if (value === undefined) return null;
  if (isFile(value)) return value[0];
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE - 1)}…` : text;
};

const change = (name: string, before: string | null, after: string | null): string => {
  if (before === null) return `${name} ${after ?? ''} is new`;
  if (after === null) return `${name} ${before} is gone`;
  return before === after ? `${name} changed` : `${name} ${before} → ${after}`;
};

const values = (
  name: string,
  before: Canonical | undefined,
  after: Canonical | undefined,
): readonly Difference[] => {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isMap(before) && isMap(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names.flatMap((key) =>
      values(name === '' ? key : `${name}.${key}`, before[key], after[key]),
    );
  }
  if (isList(before) && isList(after) && before.length === after.length && !isFile(before))
    return before.flatMap((item, at) => values(`${name}[${at}]`, item, after[at]));
  const [was, is] = [show(before), show(after)];
  const field = `params.${name}`;
  if (isFile(before) && isFile(after) && before[0] === after[0])
    return [{ field, before: before[1], after: after[1], text: `file ${after[0]} changed` }];
  return [{ field, before: was, after: is, text: change(name, was, is) }];
};

const inputs = (before: KeyFields, after: KeyFields): readonly Difference[] => {
  const group = (fields: KeyFields): Map<string, string> => {
    const found = new Map<string, string>();
    for (const [port, label, , digest] of fields.inputs) {
      const base = label === null ? port : `${port}[${label}]`;
      let name = base;
      for (let n = 2; found.has(name); n += 1) name = `${base}#${n}`;
      found.set(name, digest);
    }
    return found;
  };
  const [was, is] = [group(before), group(after)];
  const found = [...new Set([...was.keys(), ...is.keys()])].flatMap(
    (name): readonly Difference[] => {
      const [old, fresh] = [was.get(name) ?? null, is.get(name) ?? null];
      if (old === fresh) return [];
      const what = old === null ? 'is new' : fresh === null ? 'is gone' : 'changed';
      return [
        { field: `inputs.${name}`, before: old, after: fresh, text: `input ${name} ${what}` },
      ];
    },
  );
  if (found.length > 0 || JSON.stringify(before.inputs) === JSON.stringify(after.inputs))
    return found;
  return [{ field: 'inputs', before: null, after: null, text: 'the order of the inputs changed' }];
};

const code = (text: string): string => text.replace(/([0-9a-f]{8})[0-9a-f]{8,}/, '$1');

/** Nothing where the keys are the same. */
export const explain = (before: KeyFields, after: KeyFields): readonly Difference[] => {
  const found: Difference[] = [...values('', before.params, after.params)];
  if (before.code !== after.code) {
    const [was, is] = [code(before.code), code(after.code)];
    found.push({
      field: 'code',
      before: before.code,
      after: after.code,
      text: change('code', was, is),
    });
  }
  found.push(...inputs(before, after));
  if (before.seed !== after.seed) {
    const [was, is] = [before.seed, after.seed].map((seed) =>
      seed === null ? null : String(seed),
    );
    found.push({
      field: 'seed',
      before: was ?? null,
      after: is ?? null,
      text: change('seed', was ?? null, is ?? null),
    });
  }
  const [was, is] = [before.numerics, after.numerics].map((n) =>
    n === null ? 'none' : `${n.runtime} ${n.device} ${n.arch}`,
  );
  if (was !== is && was !== undefined && is !== undefined)
    found.push({ field: 'numerics', before: was, after: is, text: change('numerics', was, is) });
  return found;
};

export interface Nearest {
  readonly history: History;
  readonly differences: readonly Difference[];
}

/** The earlier result with the fewest differences; of equals, one of the same instance, then the newest. */
export const nearest = (
  history: readonly History[],
  step: string,
  fields: KeyFields,
): Nearest | null => {
  let best: Nearest | null = null;
  for (const entry of history) {
    const differences = explain(entry.fields, fields);
    const better =
      best === null ||
      differences.length < best.differences.length ||
      (differences.length === best.differences.length &&
        entry.step === step &&
        best.history.step !== step);
    if (better) best = { history: entry, differences };
  }
  return best;
};

/** One line: why a step has to run. */
export const reasonFor = (history: readonly History[], step: string, fields: KeyFields): string => {
  const found = nearest(history, step, fields);
  if (found === null) return 'never run';
  const [first, ...more] = found.differences;
  if (first === undefined) return 'its earlier result is gone';
  return more.length === 0 ? first.text : `${first.text}, and ${more.length} more`;
};
