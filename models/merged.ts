// Weights of layers that read the same input (queries, keys and values; gate and up) as one weight, where they lie next
// to each other in a file: one product instead of three, of the same numbers. Files that MESA writes are laid out for it.

import type { FileRange, Weight } from './weights.ts';

/** [n1 + n2 + ..., K], or null where they can't be one. */
export const mergedWeight = (weights: readonly Weight[]): Weight | null => {
  const [first] = weights;
  if (first === undefined) return null;
  switch (first.kind) {
    case 'float': {
      const all = weights.filter((weight) => weight.kind === 'float');
      const data = joined(weights, all, ({ data: range }) => range);
      const same = all.every(({ dtype, shape }) => dtype === first.dtype && shape.length === 2);
      return data !== null && same && sameWidth(all)
        ? { ...first, shape: [rowsOf(all), first.shape[1] ?? 0], data }
        : null;
    }
    case 'int8-rows': {
      const all = weights.filter((weight) => weight.kind === 'int8-rows');
      const data = joined(weights, all, ({ data: range }) => range);
      const scales = joined(weights, all, ({ scales: range }) => range);
      const same = all.every(({ codes }) => codes === first.codes);
      return data !== null && scales !== null && same && sameWidth(all)
        ? { ...first, shape: [rowsOf(all), first.shape[1]], data, scales }
        : null;
    }
    case 'blocks':
      return mergedBlocks(
        first,
        weights,
        weights.filter((weight) => weight.kind === 'blocks'),
      );
    // Its blocks run across rows, and its kernel takes longer than what is saved here.
    case 'bnb4':
      return null;
  }
};

type Blocks = Weight & { readonly kind: 'blocks' };

const mergedBlocks = (
  first: Blocks,
  weights: readonly Weight[],
  all: readonly Blocks[],
): Weight | null => {
  const data = joined(weights, all, ({ data: range }) => range);
  const scales = joined(weights, all, ({ scales: range }) => range);
  const zeroPoints = joined(weights, all, ({ zeroPoints: range }) => range);
  const offsets = joined(weights, all, ({ offsets: range }) => range);
  const same = all.every(
    ({ bits, blockSize }) => bits === first.bits && blockSize === first.blockSize,
  );
  const whole = (part: FileRange | null, of: (weight: Blocks) => FileRange | null): boolean =>
    part !== null || all.every((weight) => of(weight) === null);
  return data !== null &&
    scales !== null &&
    same &&
    sameWidth(all) &&
    whole(zeroPoints, (weight) => weight.zeroPoints) &&
    whole(offsets, (weight) => weight.offsets)
    ? { ...first, shape: [rowsOf(all), first.shape[1]], data, scales, zeroPoints, offsets }
    : null;
};

/** One range where all of them have one and they follow each other. */
const joined = <W extends Weight>(
  weights: readonly Weight[],
  all: readonly W[],
  rangeOf: (weight: W) => FileRange | null,
): FileRange | null => {
  if (all.length !== weights.length) return null;
  return all.map(rangeOf).reduce((before, range) => {
    if (before === null || range === null) return null;
    const follows = range.path === before.path && range.offset === before.offset + before.bytes;
    return follows ? { ...before, bytes: before.bytes + range.bytes } : null;
  });
};

const rowsOf = (weights: readonly { readonly shape: readonly number[] }[]): number =>
  weights.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);

const sameWidth = (weights: readonly { readonly shape: readonly number[] }[]): boolean =>
  weights.every(({ shape }) => shape[1] === weights[0]?.shape[1]);
