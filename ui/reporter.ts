// What every way of showing a run has in common: events go in, in order, and nothing comes back.

import type { RunEvent } from '../schemas/event.ts';

export interface Reporter {
  event(event: RunEvent): void;
  /** Leaves the screen as it shall stay; whatever is printed afterwards follows below. */
  close(): Promise<void>;
}

/** What a person at the keyboard may ask of a running run. */
export interface RunControls {
  /** The same as SIGINT: once to checkpoint and stop, twice to stop now. */
  interrupt(): void;
}

/** Which logs of steps are shown besides their progress (`--log-steps`). */
export type LogSteps = 'failed' | 'new' | 'all' | 'none';
