// Before a step runs: is it still true that nobody has done it, and that nobody is at it? Asked for many steps in one
// transaction, so that the answer can't change between the look and the lease.

import { write } from './database.ts';
import type { Leases } from './lease.ts';
import type { Action } from './action-cache.ts';
import type { Plan } from './plan.ts';
import type { RunStep } from './run-step.ts';

export type Claim =
  | { readonly kind: 'run' }
  /** Another run finished it since it was planned. */
  | { readonly kind: 'done'; readonly action: Action }
  /** Another run finished it, and its bytes have to be read to believe it. */
  | { readonly kind: 'look' }
  | { readonly kind: 'held'; readonly run: string };

const claimOne = (plan: Plan, leases: Leases, step: RunStep): Claim => {
  const { key, fields, instance } = step;
  if (key === null || fields === null) throw new Error(`${step.name} has no key`);
  const got = leases.acquire(key);
  if (got.kind === 'held') return got;
  if (step.plan.forced || !instance.cache || step.attempts > 0 || step.looked)
    return { kind: 'run' };
  const found = plan.lookup.findNow(instance, fields, key);
  if (found?.kind === 'miss') return { kind: 'run' };
  leases.release(key);
  return found === null ? { kind: 'look' } : { kind: 'done', action: found.action };
};

/** A step whose claim is `run` has its lease. */
export const claimAll = (
  plan: Plan,
  leases: Leases,
  steps: readonly RunStep[],
): readonly (readonly [RunStep, Claim])[] =>
  write(plan.services.project.database, () =>
    steps.map((step) => [step, claimOne(plan, leases, step)] as const),
  );
