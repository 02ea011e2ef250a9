// p-values adjusted for many comparisons.

export type Correction = 'holm' | 'bh' | 'none';

const order = (p: readonly number[]): number[] =>
  p.map((_, index) => index).sort((a, b) => (p[a] ?? 0) - (p[b] ?? 0));

/** Holm 1979: controls the chance of any false difference. */
const holm = (p: readonly number[]): number[] => {
  const adjusted = Array.from(p);
  let highest = 0;
  for (const [rank, index] of order(p).entries()) {
    highest = Math.max(highest, Math.min(1, (p.length - rank) * (p[index] ?? 0)));
    adjusted[index] = highest;
  }
  return adjusted;
};

/** Benjamini & Hochberg 1995: controls the share of false differences among those found. */
const benjaminiHochberg = (p: readonly number[]): number[] => {
  const adjusted = Array.from(p);
  let lowest = 1;
  for (const [fromEnd, index] of order(p).reverse().entries()) {
    lowest = Math.min(lowest, ((p[index] ?? 0) * p.length) / (p.length - fromEnd));
    adjusted[index] = lowest;
  }
  return adjusted;
};

export const adjust = (p: readonly number[], correction: Correction): number[] => {
  switch (correction) {
    case 'holm':
      return holm(p);
    case 'bh':
      return benjaminiHochberg(p);
    case 'none':
      return [...p];
  }
};
