// What an accuracy must beat to mean anything.

import type { ScoresDocument } from '../schemas/artifact.ts';
import { fixed } from './format.ts';
import type { Theme } from './theme.ts';

/** Said once for each metric that has such a bound. */
export const chanceLines = (
  documents: readonly (ScoresDocument | null)[],
  theme: Theme,
): string[] => {
  const lines = documents.flatMap((document) =>
    Object.entries(document?.metrics ?? {}).flatMap(([name, { baseline }]) =>
      baseline === undefined
        ? []
        : [
            `${name}: ${fixed(baseline.random, 3)} by chance, ` +
              `${fixed(baseline.majority, 3)} by always giving the commonest answer`,
          ],
    ),
  );
  return [...new Set(lines)].map(theme.dim);
};
