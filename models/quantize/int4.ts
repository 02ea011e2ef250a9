// MESA's int4: signed 4-bit codes with a zero of 8 and a float32 scale per block, in the layout of MatMulNBits, so
// that a file of them is mapped as it is. As Q4_0, but of any block size and without rounding the scale to a half.

export interface Int4Blocks {
  /** uint8 [blocks, blockSize / 2], low nibble first. */
  readonly data: Uint8Array;
  readonly scales: Float32Array;
}

/** `values.length` is a multiple of `blockSize`, and so is a row. */
export const quantizeInt4 = (values: Float32Array, blockSize: number): Int4Blocks => {
  const blocks = values.length / blockSize;
  const data = new Uint8Array(values.length / 2);
  const scales = new Float32Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const start = block * blockSize;
    let extreme = 0;
    for (let i = start; i < start + blockSize; i++) {
      const value = values[i] ?? 0;
      if (Math.abs(value) > Math.abs(extreme)) extreme = value;
    }
    // The largest value becomes code 0, which is -8 times the scale: no code is wasted.
    const scale = Math.fround(extreme / -8);
    scales[block] = scale;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = start; i < start + blockSize; i += 2) {
      const low = code((values[i] ?? 0) * inverse);
      const high = code((values[i + 1] ?? 0) * inverse);
      data[i >> 1] = low | (high << 4);
    }
  }
  return { data, scales };
};

const code = (scaled: number): number => Math.max(0, Math.min(15, Math.round(scaled) + 8));

export const dequantizeInt4 = (
  data: Uint8Array,
  scales: Float32Array,
  blockSize: number,
): Float32Array => {
  const out = new Float32Array(data.length * 2);
  for (let i = 0; i < out.length; i++) {
    const byte = data[i >> 1] ?? 0;
    out[i] = ((i % 2 === 0 ? byte & 15 : byte >> 4) - 8) * (scales[Math.floor(i / blockSize)] ?? 0);
  }
  return out;
};
