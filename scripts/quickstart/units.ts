// SI prefixes and units: what `one milligram` is follows from its parts.

const PREFIXES: readonly (readonly [prefix: string, part: string])[] = [
  ['giga', 'a billion'],
  ['mega', 'a million'],
  ['kilo', 'a thousand'],
  ['deci', 'one tenth of a'],
  ['centi', 'one hundredth of a'],
  ['milli', 'one thousandth of a'],
  ['micro', 'one millionth of a'],
  ['nano', 'one billionth of a'],
];

/** What each unit measures. */
export const UNITS: readonly (readonly [unit: string, measures: string])[] = [
  ['gram', 'mass'],
  ['liter', 'volume'],
  ['meter', 'length'],
  ['mole', 'amount of substance'],
  ['second', 'time'],
  ['volt', 'voltage'],
  ['watt', 'power'],
  ['pascal', 'pressure'],
  ['joule', 'energy'],
];

export interface PrefixedUnit {
  readonly word: string;
  readonly prefix: string;
  readonly unit: string;
  /** What one of it is, as an answer. */
  readonly meaning: string;
}

export const PREFIXED_UNITS: readonly PrefixedUnit[] = PREFIXES.flatMap(([prefix, part]) =>
  UNITS.map(([unit]) => ({
    word: `${prefix}${unit}`,
    prefix,
    unit,
    meaning: part.endsWith(' a') ? `${part} ${unit}` : `${part} ${unit}s`,
  })),
);
