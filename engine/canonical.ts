// The one encoding of values that is ever hashed into a key: every value carries its type and its length, so that two
// different values (or the same value under two tags) can't have the same bytes. It knows nothing of steps.
//
//   mesa8:step-key m2:s1:a d1:1 s1:b l2:t n      (without the blanks)

import { hash } from 'node:crypto';

/** JSON-like, finite numbers only. Keys whose value is undefined don't exist: leave them out. */
export type Canonical =
  null | boolean | number | string | readonly Canonical[] | { readonly [key: string]: Canonical };

const text = (value: string): string =>
  // A lone surrogate has no UTF-8 form; such strings get a type of their own instead of a replacement character.
  value.isWellFormed()
    ? `s${Buffer.byteLength(value)}:${value}`
    : `w${value.length}:${Buffer.from(value, 'utf16le').toString('hex')}`;

const isArray = (value: Canonical): value is readonly Canonical[] => Array.isArray(value);

const encode = (value: Canonical): string => {
  if (value === null) return 'n';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error(`not a finite number: ${value}`);
    // Shortest round-trip decimal: one text per double. -0 and 0 are the same number in YAML and JSON.
    const digits = String(value === 0 ? 0 : value);
    return `d${digits.length}:${digits}`;
  }
  if (isArray(value)) {
    let out = `l${value.length}:`;
    for (const item of value) out += encode(item);
    return out;
  }
  const names = Object.keys(value).sort();
  let out = `m${names.length}:`;
  for (const name of names) out += text(name) + encode(value[name] ?? null);
  return out;
};

/** The bytes of `value` under a domain tag, as text that is hashed as UTF-8. Injective over (tag, value). */
export const encodeCanonical = (tag: string, value: Canonical): string =>
  `mesa${tag.length}:${tag}${encode(value)}`;

/** SHA-256, hex. */
export const hashCanonical = (tag: string, value: Canonical): string =>
  hash('sha256', encodeCanonical(tag, value), 'hex');
