// What experiments ask for from a hub: every request of their steps, once. What the lock file must hold for it.

import type { Experiment } from '../engine/experiment.ts';
import { findLocked, type Lock, type Locked } from '../engine/lock.ts';
import type { HubRequest } from '../engine/step.ts';
import type { Diagnostic, Location } from '../schemas/diagnostic.ts';

export interface WantedFromHub extends Locked {
  readonly request: HubRequest;
  /** Instance names. */
  readonly steps: readonly string[];
  /** Of the first of them. */
  readonly location: Location;
}

export const hubRequests = (experiments: readonly Experiment[]): readonly WantedFromHub[] => {
  const found = new Map<string, WantedFromHub>();
  for (const { name, definition, params, location } of experiments.flatMap(
    ({ instances }) => instances,
  )) {
    for (const request of definition.hub?.(params) ?? []) {
      const { type, id, revision: requested, part } = request;
      const key = JSON.stringify([type, id, requested, part]);
      const known = found.get(key);
      const steps = [...(known?.steps ?? []).filter((each) => each !== name), name];
      found.set(key, {
        ...(known ?? { type, id, requested, part, request, location }),
        steps,
      });
    }
  }
  return [...found.values()];
};

/** `the dataset openlifescienceai/medmcqa (train) at main`. */
export const describeWanted = ({ type, id, requested, part }: Locked): string =>
  `the ${type} ${id}${part === undefined || part === '' ? '' : ` (${part})`} at ${requested}`;

/** `--locked`: what is asked for and has no entry. */
export const notLocked = (experiment: Experiment, lock: Lock): Diagnostic[] =>
  hubRequests([experiment])
    .filter((wanted) => findLocked(lock, wanted) === null)
    .map((wanted) => ({
      severity: 'error',
      code: 'E416',
      message: `mesa.lock.json has no entry for ${describeWanted(wanted)}`,
      location: wanted.location,
      hint: 'leave --locked out, or run mesa lock: both add it',
    }));
