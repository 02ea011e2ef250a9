// Which inputs of an adapter are dropped: counter-based masks, named by seed and position, so that a resumed run
// drops what the whole run would have dropped.

import { stream } from '../../random/threefry.ts';

/** Gap lengths by the upper 16 bits of a draw; -1 where the lower bits decide. */
const tables = new Map<number, Int32Array>();

/** u in (0, 1] to a geometric gap: the elements kept before the next dropped one. */
const gapOf = (u: number, p: number): number => Math.floor(Math.log(u) / Math.log1p(-p));

const tableFor = (p: number): Int32Array => {
  const known = tables.get(p);
  if (known !== undefined) return known;
  const table = new Int32Array(2 ** 16);
  for (let high = 0; high < table.length; high++) {
    const longest = gapOf((high * 2 ** 16 + 1) / 2 ** 32, p);
    table[high] = longest === gapOf((high + 1) / 2 ** 16, p) ? longest : -1;
  }
  tables.set(p, table);
  return table;
};

/**
 * Fills `mask`: 1 with probability 1 - p, independently. The gaps between dropped elements are drawn, so p draws an
 * element are enough: an adapter on all layers of a 135M model has 76 million elements in a step of 512 tokens.
 */
export const fillKeepMask = (
  mask: Uint8Array,
  p: number,
  seed: number,
  ...indices: readonly number[]
): Uint8Array => {
  mask.fill(1);
  const random = stream(seed, 'lora dropout', ...indices);
  const table = tableFor(p);
  for (let at = -1; ;) {
    const draw = random.uint32();
    const known = table[draw >>> 16] ?? -1;
    at += 1 + (known >= 0 ? known : gapOf((draw + 1) / 2 ** 32, p));
    if (at >= mask.length) return mask;
    mask[at] = 0;
  }
};
