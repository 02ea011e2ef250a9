// Mixtures: rows of several sources, by count or by weight.

import { DataError } from './error.ts';
import type { Row } from './row.ts';

export interface MixPart {
  readonly name: string;
  readonly rows: readonly Row[];
  /** How many rows (the first ones). */
  readonly n?: number | undefined;
  /** Its share of the mixture beside the other weights. The mixture is as large as the sources allow. */
  readonly weight?: number | undefined;
}

/** The parts one after another; ids get the source's name in front (`medqa/12`). */
export const mixRows = (parts: readonly MixPart[]): Row[] => {
  const twice = parts.find(
    (part, index) => parts.findIndex(({ name }) => name === part.name) !== index,
  );
  if (twice !== undefined) {
    throw new DataError(
      'E554',
      `two sources of the mixture are called ${JSON.stringify(twice.name)}`,
      'Give each a `name`.',
    );
  }
  const weighted = parts.filter((part) => part.weight !== undefined && part.weight > 0);
  // The largest number of rows per unit of weight that every weighted source can give.
  const unit = Math.min(...weighted.map((part) => part.rows.length / (part.weight ?? 1)));
  return parts.flatMap((part) => {
    const count =
      part.n ??
      (part.weight === undefined ? part.rows.length : Math.floor(unit * part.weight + 1e-9));
    if (count > part.rows.length) {
      throw new DataError(
        'E554',
        `the mixture asks for ${String(count)} rows of ${part.name}, which has ${String(part.rows.length)}`,
      );
    }
    const taken = part.rows.slice(0, count);
    // One source alone is no mixture: its rows keep their ids.
    return parts.length === 1
      ? taken
      : taken.map((row) => ({ ...row, id: `${part.name}/${row.id}` }));
  });
};
