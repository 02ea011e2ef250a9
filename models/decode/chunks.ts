// Where a row is split to be read. Each chunk is one run: few tokens use the processor badly, many make attention's
// scores too large for its cache.

export interface Chunk {
  readonly start: number;
  readonly length: number;
}

/** Tokens of a row that are read at once where borders are fixed, and of continuations side by side. */
export const CHUNK = 256;

/** Tokens that are worth a detour, be it to keep them or to use what was kept. */
export const WORTH = 32;

/** Above this two halves are quicker than the whole (bench/choices.ts). */
export const LONGEST = 384;

/** Borders are multiples of CHUNK, whatever is shared: for graphs whose bits depend on them. From the last one before `shared`. */
export const fixedChunks = (shared: number, length: number): readonly Chunk[] => {
  const chunks: Chunk[] = [];
  for (let start = Math.floor(shared / CHUNK) * CHUNK; start < length; start += CHUNK)
    chunks.push({ start, length: Math.min(CHUNK, length - start) });
  return chunks;
};

/**
 * Everything after what is shared, in equal parts. None is a single token unless the row is: attention has another
 * kernel for it.
 */
export const freeChunks = (shared: number, length: number): readonly Chunk[] => {
  const first = shared < WORTH ? 0 : Math.max(0, Math.min(shared, length - 2));
  const count = Math.ceil((length - first) / LONGEST);
  const border = (index: number): number => first + Math.floor((index * (length - first)) / count);
  return Array.from({ length: count }, (_, index) => ({
    start: border(index),
    length: border(index + 1) - border(index),
  }));
};
