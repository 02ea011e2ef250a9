// Sizes (`6GiB`) and durations (`2h`, `1h 30m`) as people write them.

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `6GiB` -> bytes (GiB is 2^30, GB is 10^9, G alone is GiB as for Slurm); null where it can't be read. */
export const parseSize = (text: string): number | null => {
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([a-z]*)$/iu.exec(text.trim());
  const unit = sizeUnits[(match?.[2] ?? '').toLowerCase()];
  if (match === null || unit === undefined) return null;
  const bytes = Math.round(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : null;
};

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `90s`, `1h 30m`, `1.5h`, `500ms` -> milliseconds; null where it can't be read (a bare number has no unit). */
export const parseDurationMs = (text: string): number | null => {
  const compact = text.replace(/\s+/gu, '');
  if (!/^(?:[0-9]+(?:\.[0-9]+)?[a-z]+)+$/iu.test(compact)) return null;
  let total = 0;
  for (const [, amount, name] of compact.matchAll(/([0-9]+(?:\.[0-9]+)?)([a-z]+)/giu)) {
    const unit = durationUnits[(name ?? '').toLowerCase()];
    if (unit === undefined) return null;
    total += Number(amount) * unit;
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : null;
};
