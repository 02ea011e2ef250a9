// What to start now: a pure function of what is ready, what runs and what there is. Longest expected path first; a
// small step may pass a blocked one where that doesn't delay it (as EASY backfilling does in cluster schedulers).

export interface Resources {
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly gpu: number;
}

export interface ReadyStep extends Resources {
  readonly name: string;
  /** Expected time from its start to the end of everything that waits for it. */
  readonly pathMs: number;
  readonly expectedMs: number;
}

export interface RunningStep extends Resources {
  /** Expected. */
  readonly remainingMs: number;
}

export interface Capacity extends Resources {
  /** `--jobs`: steps at once. */
  readonly jobs: number;
}

interface Free {
  cpu: number;
  memoryBytes: number;
  gpu: number;
  jobs: number;
}

const fits = (step: Resources, free: Free): boolean =>
  free.jobs > 0 &&
  step.cpu <= free.cpu &&
  step.memoryBytes <= free.memoryBytes &&
  step.gpu <= free.gpu;

const take = (free: Free, step: Resources, sign: 1 | -1): void => {
  free.cpu -= sign * step.cpu;
  free.memoryBytes -= sign * step.memoryBytes;
  free.gpu -= sign * step.gpu;
  free.jobs -= sign;
};

/** A step that asks for more than there is gets all there is, alone: refusing it would leave the run unfinished. */
const clamp = <T extends Resources>(step: T, capacity: Capacity): T => ({
  ...step,
  cpu: Math.min(step.cpu, capacity.cpu),
  memoryBytes: Math.min(step.memoryBytes, capacity.memoryBytes),
  gpu: Math.min(step.gpu, capacity.gpu),
});

/** When `blocked` can start as the running steps end, and what is left beside it then. */
const reservation = (
  blocked: Resources,
  free: Free,
  running: readonly RunningStep[],
): { readonly atMs: number; readonly spare: Free } => {
  const later = { ...free };
  let atMs = 0;
  for (const step of running.toSorted((a, b) => a.remainingMs - b.remainingMs)) {
    if (fits(blocked, later)) break;
    take(later, step, -1);
    atMs = step.remainingMs;
  }
  take(later, blocked, 1);
  return { atMs, spare: later };
};

/** How far past a blocked step candidates are looked at, so that deciding stays cheap with thousands ready. */
const BACKFILL_DEPTH = 256;

/**
 * Names of the steps to start. `ready` is in order of `pathMs`, longest first (the caller keeps it so: sorting
 * thousands again for each decision would cost more than the steps). Never starts more than fits.
 */
export const schedule = (
  ready: readonly ReadyStep[],
  running: readonly RunningStep[],
  capacity: Capacity,
): readonly string[] => {
  const free: Free = {
    cpu: capacity.cpu,
    memoryBytes: capacity.memoryBytes,
    gpu: capacity.gpu,
    jobs: capacity.jobs,
  };
  const now = running.map((step) => clamp(step, capacity));
  for (const step of now) take(free, step, 1);
  const started: string[] = [];
  let reserved: ReturnType<typeof reservation> | null = null;
  let passed = 0;
  for (const wanted of ready) {
    if (free.jobs <= 0 || passed > BACKFILL_DEPTH) break;
    const step = clamp(wanted, capacity);
    if (!fits(step, free)) {
      passed += 1;
      reserved ??= reservation(step, free, now);
      continue;
    }
    if (reserved !== null) {
      const endsBefore = step.expectedMs <= reserved.atMs;
      if (!endsBefore) {
        if (!fits(step, reserved.spare)) continue;
        take(reserved.spare, step, 1);
      }
    }
    take(free, step, 1);
    now.push({ ...step, remainingMs: step.expectedMs });
    started.push(step.name);
  }
  return started;
};
