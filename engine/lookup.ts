// Is a step's result in the cache? The one answer that planning and running share: key fields from the contents of
// inputs, then the action, then the honesty of the object store.

import type { Action } from './action-cache.ts';
import type { StepInstance } from './experiment.ts';
import { reasonFor } from './explain.ts';
import { stepKey, type KeyFields, type StepKey } from './key.ts';
import type { ArtifactDigest } from './manifest.ts';
import { numericsClass, numericsOf } from './numerics.ts';
import type { Damage } from './object-store.ts';
import type { PathDigests } from './path-digests.ts';
import type { Project } from './project.ts';

/** What a step's code is in its key (code-digest.ts). */
export type CodeOf = (instance: StepInstance) => string;

export interface LookupOptions {
  readonly strictNumerics: boolean;
  /** Steps (by id) whose results may have been made by other code. */
  readonly acceptCode: 'all' | ReadonlySet<string>;
}

export type Found =
  | { readonly kind: 'hit'; readonly action: Action }
  | { readonly kind: 'miss'; readonly reason: string; readonly damages: readonly Damage[] };

export const keyFieldsOf = (
  instance: StepInstance,
  code: CodeOf,
  paths: PathDigests,
  digestOfInput: (port: string, index: number) => ArtifactDigest | null,
): KeyFields | null => {
  const { definition, params } = instance;
  const inputs: KeyFields['inputs'][number][] = [];
  for (const port of Object.keys(instance.inputs).sort()) {
    for (const [index, edge] of (instance.inputs[port] ?? []).entries()) {
      const digest = digestOfInput(port, index);
      if (digest === null) return null;
      const kind = edge.kind === 'step' ? edge.artifact : kindOf(instance, port);
      inputs.push([port, edge.label, kind, digest]);
    }
  }
  return {
    schema: 1,
    step: instance.uses,
    code: code(instance),
    params: paths.params(definition, params),
    inputs,
    seed: definition.usesSeed?.(params) === true ? instance.seed : null,
    numerics: numericsOf(definition.device?.(params) ?? null),
  };
};

/** What a port takes; the first where it takes several. */
const kindOf = (instance: StepInstance, port: string): KeyFields['inputs'][number][2] => {
  const kind = instance.definition.inputs[port]?.kind;
  if (kind === undefined) throw new Error(`step type ${instance.uses} has no input ${port}`);
  return typeof kind === 'string' ? kind : (kind[0] ?? 'x-none');
};

const firstDamage = (damages: readonly Damage[]): string => {
  const [first] = damages;
  if (first === undefined) return 'its earlier result is gone';
  if (first.kind === 'moved') return `file changed: ${first.message}`;
  return first.kind === 'missing'
    ? 'its earlier result is gone'
    : `damaged in the cache: ${first.message}`;
};

export class Lookup {
  readonly #project: Project;
  readonly #options: LookupOptions;

  constructor(project: Project, options: LookupOptions) {
    this.#project = project;
    this.#options = options;
  }

  /** The action for a key, without a look at its bytes. */
  action(instance: StepInstance, key: StepKey, fields: KeyFields): Action | null {
    const { actions } = this.#project;
    const { strictNumerics, acceptCode } = this.#options;
    const found = actions.get(key, numericsClass(fields.numerics), strictNumerics);
    if (found !== null) return found;
    if (acceptCode !== 'all' && !acceptCode.has(instance.id)) return null;
    const other = actions.withOtherCode(fields);
    if (other === null) return null;
    const result = { ...other.result, key };
    return {
      ...other,
      key,
      fields,
      result,
      made: { ...other.made, acceptedCode: other.fields.code },
    };
  }

  /** Looks without waiting; null where bytes have to be hashed to know. */
  findNow(instance: StepInstance, fields: KeyFields, key = stepKey(fields)): Found | null {
    if (!instance.cache) return { kind: 'miss', reason: 'cache: false', damages: [] };
    const action = this.action(instance, key, fields);
    if (action === null) {
      const { actions } = this.#project;
      const reason = reasonFor(actions.history(instance.uses, instance.id), instance.name, fields);
      return { kind: 'miss', reason, damages: [] };
    }
    const { objects } = this.#project;
    return action.result.outputs.every((output) =>
      objects.isKnownGood(output.digest as ArtifactDigest),
    )
      ? { kind: 'hit', action }
      : null;
  }

  async find(instance: StepInstance, fields: KeyFields, key = stepKey(fields)): Promise<Found> {
    const now = this.findNow(instance, fields, key);
    if (now !== null) return now;
    const action = this.action(instance, key, fields);
    const damages: Damage[] = [];
    for (const output of action?.result.outputs ?? [])
      damages.push(...(await this.#project.objects.verify(output.digest as ArtifactDigest)));
    if (action !== null && damages.length === 0) return { kind: 'hit', action };
    return { kind: 'miss', reason: firstDamage(damages), damages };
  }
}
