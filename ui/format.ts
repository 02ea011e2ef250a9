// Numbers, times and sizes as text. Fixed decimals everywhere, so that numbers on a live screen don't dance.

/** U+202F, the narrow no-break space: groups digits without letting a line break between them. */
const groupSeparator = '\u202f';

/** 12345 -> "12 345" (narrow no-break space); four digits stay together: 1840. */
export const integer = (value: number): string => {
  const digits = Math.round(value).toFixed(0);
  const sign = digits.startsWith('-') ? '-' : '';
  const bare = sign === '' ? digits : digits.slice(1);
  if (bare.length < 5 || !/^\d+$/.test(bare)) return digits;
  return sign + bare.replace(/\B(?=(\d{3})+$)/g, groupSeparator);
};

export const fixed = (value: number, decimals: number): string =>
  Number.isFinite(value) ? value.toFixed(decimals) : notFinite(value);

const notFinite = (value: number): string =>
  Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';

/** 0.000192 -> "1.9e-4". */
export const exponent = (value: number, decimals = 1): string =>
  value === 0
    ? '0'
    : Number.isFinite(value)
      ? value.toExponential(decimals).replace('e+', 'e')
      : notFinite(value);

/** Four significant digits, for values whose scale isn't known. */
export const general = (value: number): string => {
  if (!Number.isFinite(value)) return notFinite(value);
  if (Number.isInteger(value)) return integer(value);
  const size = Math.abs(value);
  if (size >= 10000) return integer(value);
  if (size < 1e-3) return exponent(value, 2);
  return value.toPrecision(4);
};

/** With its sign: "+0.056", "-0.027", "0.000" without one. */
export const signed = (value: number, decimals: number): string => {
  const text = fixed(value, decimals);
  return value > 0 && /[1-9]|inf/.test(text) ? `+${text}` : text;
};

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const two = (value: number): string => value.toFixed(0).padStart(2, '0');

/** "0.4s", "42s", "1m 42s", "3h 05m", "2d 4h". */
export const duration = (ms: number): string => {
  if (ms < 9950) return `${(Math.max(0, ms) / second).toFixed(1)}s`;
  const seconds = Math.round(ms / second);
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  const minutes = Math.round(ms / minute);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
  const hours = Math.round(ms / hour);
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
};

/** A clock that counts up: "05:51", "1:02:03". */
export const elapsed = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / second));
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 3600 ? rest : `${Math.floor(seconds / 3600)}:${rest}`;
};

/** Decimal units, as disks and downloads are sold: "8 MB", "3.1 GB". */
export const bytes = (count: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const decimals = unit < 1 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(decimals)} ${units[unit] ?? ''}`;
};

/** Local time of day, "12:04:07". */
export const timeOfDay = (at: number): string => {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
};

/** Local date and minute, "2026-11-22 12:04". */
export const dateTime = (at: number): string => {
  const date = new Date(at);
  const ymd = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${ymd} ${two(date.getHours())}:${two(date.getMinutes())}`;
};

/** "just now", "4 min ago", "3 h ago", "2 days ago", then the date. */
export const ago = (at: number, now: number): string => {
  const ms = now - at;
  if (ms < minute) return 'just now';
  if (ms < hour) return `${Math.floor(ms / minute)} min ago`;
  if (ms < day) return `${Math.floor(ms / hour)} h ago`;
  if (ms < 2 * day) return 'yesterday';
  if (ms < 14 * day) return `${Math.floor(ms / day)} days ago`;
  return dateTime(at).slice(0, 10);
};

/** "1 step", "2 steps". */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${integer(n)} ${n === 1 ? one : many}`;

/** How keys and digests are shown: enough digits to tell apart, few enough to read. */
export const shortKey = (key: string): string => key.slice(0, 7);

/** `adapter[r=8]` as one types it: shells leave `adapter@r=8` alone. */
export const typedName = (step: string): string => step.replace(/\[(.*)\]$/, '@$1');
