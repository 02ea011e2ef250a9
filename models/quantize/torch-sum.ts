// The sum of float32 values in PyTorch's order on a CPU (aten/src/ATen/native/cpu/SumKernel.cpp, vectors of eight):
// double quantisation stores a mean, and the same bits need the same roundings.

const lanes = 8;
const rows = 4;
const levels = 4;

export const torchMean = (values: Float32Array): number =>
  Math.fround(torchSum(values) / values.length);

export const torchSum = (values: Float32Array): number => {
  const vectors = Math.floor(values.length / lanes);
  const perRow = Math.floor(vectors / rows);
  // acc[level][row][lane]: level 0 takes values, each higher level takes the sums of a power of the level below.
  const acc = new Float32Array(levels * rows * lanes);
  const width = rows * lanes;
  const add = (level: number, from: number): void => {
    for (let k = 0; k < width; k++)
      acc[level * width + k] = (acc[level * width + k] ?? 0) + (values[from + k] ?? 0);
  };
  const fold = (from: number, into: number): void => {
    for (let k = 0; k < width; k++) {
      acc[into * width + k] = (acc[into * width + k] ?? 0) + (acc[from * width + k] ?? 0);
      acc[from * width + k] = 0;
    }
  };
  const power = Math.max(4, Math.floor(Math.ceil(Math.log2(Math.max(1, perRow))) / levels));
  const step = 1 << power;
  let i = 0;
  while (i + step <= perRow) {
    for (let j = 0; j < step; j++, i++) add(0, i * width);
    for (let level = 1; level < levels; level++) {
      fold(level - 1, level);
      if ((i & ((step - 1) << (level * power))) !== 0) break;
    }
  }
  for (; i < perRow; i++) add(0, i * width);
  for (let level = 1; level < levels; level++) fold(level, 0);

  const row = acc.subarray(0, lanes);
  for (let vector = perRow * rows; vector < vectors; vector++)
    for (let lane = 0; lane < lanes; lane++)
      row[lane] = (row[lane] ?? 0) + (values[vector * lanes + lane] ?? 0);
  for (let k = 1; k < rows; k++)
    for (let lane = 0; lane < lanes; lane++)
      row[lane] = (row[lane] ?? 0) + (acc[k * lanes + lane] ?? 0);

  let sum = 0;
  for (let k = vectors * lanes; k < values.length; k++) sum = Math.fround(sum + (values[k] ?? 0));
  for (const lane of row) sum = Math.fround(sum + lane);
  return sum;
};
