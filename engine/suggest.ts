// "did you mean": the nearest name, and the names other tools give to the same idea.

import { parameterAliases } from './parameter-aliases.ts';

/** Damerau-Levenshtein distance (restricted: a pair of neighbours swapped counts once), cut off above `limit`. */
export const editDistance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(
        (last[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? limit + 1;
};

const normal = (name: string): string => name.toLowerCase().replaceAll(/[-_ ]/gu, '');

/** The candidate a typing error away from `name`, if there is one. */
export const nearest = (name: string, candidates: Iterable<string>): string | undefined => {
  const wanted = normal(name);
  const limit = wanted.length <= 3 ? 1 : wanted.length <= 7 ? 2 : 3;
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const other = normal(candidate);
    const distance = editDistance(wanted, other, limit);
    // Of two-letter names almost anything is a typing error away: half must be right.
    if (distance < bestDistance && distance * 2 <= Math.max(wanted.length, other.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
};

export const didYouMean = (name: string, candidates: Iterable<string>): string | undefined => {
  const found = nearest(name, candidates);
  return found === undefined ? undefined : `did you mean "${found}"?`;
};

/** For parameters: also what axolotl, LLaMA-Factory, torchtune and mlx-lm call them, misspelt or not. */
export const didYouMeanParameter = (
  name: string,
  known: ReadonlySet<string>,
  ownAliases: ReadonlyMap<string, string>,
): string | undefined => {
  const aliasOf = (alias: string): string | undefined => {
    const own = ownAliases.get(alias);
    if (own !== undefined) return own;
    return Object.hasOwn(parameterAliases, alias)
      ? parameterAliases[alias]?.find((target) => known.has(target))
      : undefined;
  };
  const exact = aliasOf(name) ?? aliasOf(name.toLowerCase().replaceAll('-', '_'));
  if (exact !== undefined) return `"${name}" is called "${exact}" here`;
  const direct = didYouMean(name, known);
  if (direct !== undefined) return direct;
  const aliases = [...ownAliases.keys(), ...Object.keys(parameterAliases)];
  const misspelt = nearest(
    name,
    aliases.filter((alias) => alias.length > 3 && aliasOf(alias) !== undefined),
  );
  const target = misspelt === undefined ? undefined : aliasOf(misspelt);
  return target === undefined ? undefined : `did you mean "${target}"?`;
};
