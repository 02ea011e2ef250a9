// What the process ends with. Scripts rely on these numbers; `mesa --help` lists them.

export const exitCodes = {
  ok: 0,
  /** A step failed, or a gate did not hold. */
  failed: 1,
  /** Wrong usage, or an experiment with errors: nothing ran. */
  usage: 2,
  /** `plan --exit-code`: something would run. */
  stale: 3,
  /** A bug in MESA. */
  bug: 70,
  interrupted: 130,
  closedPipe: 141,
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
