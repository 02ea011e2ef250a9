// What experiments ask for from a hub: id and requested revision of every step with `source: hub`. What the lock file
// must hold for it.

import type { Experiment } from '../engine/experiment.ts';
import { findLocked, type Lock, type LockEntry } from '../engine/lock.ts';
import type { Diagnostic } from '../schemas/diagnostic.ts';

export interface HubRequest extends Pick<LockEntry, 'type' | 'id' | 'requested'> {
  /** Instance names. */
  readonly steps: readonly string[];
}

const defaultRevision = 'main';

export const hubRequests = (experiments: readonly Experiment[]): readonly HubRequest[] => {
  const found = new Map<string, HubRequest>();
  for (const instance of experiments.flatMap(({ instances }) => instances)) {
    const { source, id, revision } = instance.params;
    if (source !== 'hub' || typeof id !== 'string') continue;
    const type = instance.uses === 'load-dataset' ? 'dataset' : 'model';
    const requested = typeof revision === 'string' ? revision : defaultRevision;
    const key = `${type} ${id} ${requested}`;
    const steps = [...(found.get(key)?.steps ?? []), instance.name];
    found.set(key, { type, id, requested, steps });
  }
  return [...found.values()];
};

/** `--locked`: what is asked for and has no entry. */
export const notLocked = (experiment: Experiment, lock: Lock): Diagnostic[] =>
  hubRequests([experiment])
    .filter((request) => findLocked(lock, request) === null)
    .map(({ type, id, requested, steps }) => {
      const location = experiment.instances.find(({ name }) => steps.includes(name))?.location;
      return {
        severity: 'error',
        code: 'E416',
        message: `mesa.lock.json has no entry for the ${type} ${id} at ${requested}`,
        ...(location === undefined ? {} : { location }),
        hint: 'mesa lock --update adds it',
      };
    });
