// `mesa why`: the whole difference between a planned step and the nearest earlier result.

import { explain, nearest, type Difference } from './explain.ts';
import type { InstanceName } from './experiment.ts';
import type { KeyFields, StepKey } from './key.ts';
import type { Plan } from './plan.ts';

export interface Explanation {
  readonly step: InstanceName;
  /** Null where inputs aren't known yet. */
  readonly key: StepKey | null;
  readonly fields: KeyFields | null;
  /** The earlier result it is compared with. */
  readonly before: { readonly step: string; readonly fields: KeyFields } | null;
  readonly differences: readonly Difference[];
}

export const explainStep = (plan: Plan, name: InstanceName): Explanation | null => {
  const step = plan.byName.get(name);
  if (step === undefined) return null;
  const { key, fields, instance } = step;
  if (fields === null) return { step: name, key, fields, before: null, differences: [] };
  const { actions } = plan.services.project;
  const found = nearest(actions.history(instance.uses, instance.id), name, fields);
  if (found === null) return { step: name, key, fields, before: null, differences: [] };
  const before = found.history;
  return { step: name, key, fields, before, differences: explain(before.fields, fields) };
};
