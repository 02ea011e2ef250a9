// One pass of a check over a value: where it is, and what it complains about.

import type { JsonSchema } from '../schemas/json.ts';
import type { DiagnosticCode } from './diagnostic-codes.ts';
import type { Place } from './source.ts';
import { didYouMean, didYouMeanParameter } from './suggest.ts';
import { describeSchema } from './validate-words.ts';
import { describeNode, scalarText, type ScalarNode, type YamlNode } from './yaml-node.ts';

export interface Complaint {
  readonly code: DiagnosticCode;
  readonly place: Place;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The parameter it is about, or that the value about is part of. */
  readonly parameter: string | undefined;
  /** How deep in the value: of several ways to read a value, the one that goes deepest is what was meant. */
  readonly depth: number;
}

/** One pass over a value: where it is, and what it found. */
export interface Run {
  /** `revision: 1234567` is text where only text is allowed. Off while alternatives are tried as they are. */
  readonly readNumbersAsText: boolean;
  /** "step type lora-train" */
  readonly owner: string;
  readonly isRoot: boolean;
  name(): string;
  within<T>(part: string, body: () => T): T;
  complain(code: DiagnosticCode, place: Place, message: string, hint?: string): void;
  wrongType(node: YamlNode, schema: JsonSchema): void;
  unknown(key: ScalarNode, known: ReadonlySet<string>, aliases: ReadonlyMap<string, string>): void;
  /** A pass of its own from here, whose complaints count only if somebody takes them over. */
  trial(readNumbersAsText: boolean): {
    readonly run: Run;
    readonly complaints: readonly Complaint[];
  };
  adopt(complaints: readonly Complaint[]): void;
}

const pathText = (path: readonly string[]): string =>
  path.reduce(
    (text, part) => (text === '' || part.startsWith('[') ? text + part : `${text}.${part}`),
    '',
  );

export const makeRun = (
  complaints: Complaint[],
  owner: string,
  path: string[],
  readNumbersAsText = true,
): Run => {
  const run: Run = {
    readNumbersAsText,
    owner,
    get isRoot() {
      return path.length === 0;
    },
    name: () => (path.length === 0 ? 'the value' : `"${pathText(path)}"`),
    within: (part, body) => {
      path.push(part);
      const result = body();
      path.pop();
      return result;
    },
    complain: (code, place, message, hint) => {
      complaints.push({ code, place, message, hint, parameter: path[0], depth: path.length });
    },
    wrongType: (node, schema) => {
      const wanted = describeSchema(schema);
      const quote = node.kind === 'scalar' && node.value !== null && wanted === 'text';
      const hint = quote ? `put quotes around it: "${node.raw}"` : undefined;
      run.complain(
        'E303',
        node,
        `${run.name()} must be ${wanted}; found ${describeNode(node)}`,
        hint,
      );
    },
    unknown: (key, known, aliases) => {
      const name = scalarText(key);
      const top = path.length === 0;
      const what = top
        ? `unknown parameter "${name}" for ${owner}`
        : `unknown key "${name}" in "${pathText(path)}"`;
      const found = top
        ? didYouMeanParameter(name, known, aliases)
        : (aliasHint(name, aliases) ?? didYouMean(name, known));
      const few =
        known.size > 0 && known.size <= 12 ? `it knows ${[...known].join(', ')}` : undefined;
      run.complain('E301', key, what, found ?? few);
    },
    trial: (asText) => {
      const own: Complaint[] = [];
      return { run: makeRun(own, owner, [...path], asText), complaints: own };
    },
    adopt: (list) => {
      complaints.push(...list);
    },
  };
  return run;
};

const aliasHint = (name: string, aliases: ReadonlyMap<string, string>): string | undefined => {
  const target = aliases.get(name);
  return target === undefined ? undefined : `"${name}" is called "${target}" here`;
};
