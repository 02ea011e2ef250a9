// How fast a step advances, from its last 50 progress events; the time left follows. Pure: state in, state out.

export interface Pace {
  /** [milliseconds, units done], oldest first. */
  readonly samples: readonly (readonly [number, number])[];
  /** Where this attempt began: a resumed step's first units were not done now. */
  readonly from: number | null;
}

const keep = 50;
/** Earlier guesses are noise: warm-up and compilation weigh too much. */
const hiddenUntil = 10;

export const noPace: Pace = { samples: [], from: null };

export const addSample = (pace: Pace, at: number, done: number): Pace => {
  const last = pace.samples.at(-1);
  // A step that restarts its count (validation, a new phase) starts a new pace.
  const samples = last !== undefined && done < last[1] ? [] : pace.samples;
  return {
    samples: [...samples.slice(-(keep - 1)), [at, done]],
    from: samples.length === 0 ? done : (pace.from ?? done),
  };
};

/** Milliseconds until `total`, or null while it can't be told. */
export const timeLeftMs = (pace: Pace, total: number | null): number | null => {
  const first = pace.samples[0];
  const last = pace.samples.at(-1);
  if (total === null || first === undefined || last === undefined) return null;
  const units = last[1] - first[1];
  const ms = last[0] - first[0];
  if (units <= 0 || ms <= 0 || last[1] - (pace.from ?? 0) < Math.min(hiddenUntil, total / 2))
    return null;
  return Math.max(0, ((total - last[1]) * ms) / units);
};
