// 16-bit floats as bits: IEEE half and bfloat16 to float32 and back, rounding to nearest even as PyTorch does.

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);

const halfToSingle = (half: number): number => {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
};

let table: Float32Array | undefined;

/** All 65,536 halves as float32: decoding is a look-up. */
export const halfTable = (): Float32Array =>
  (table ??= Float32Array.from({ length: 65536 }, (_, half) => halfToSingle(half)));

/** The half nearest to a float32 (ties to even), as bits. */
export const singleToHalf = (single: number): number => {
  value[0] = single;
  const word = bits[0] ?? 0;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 puts the rounding where the fraction of the half ends.
    value[0] = Math.fround(Math.abs(single) + 0.5);
    return sign | ((bits[0] ?? 0) - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
};

/** The bfloat16 nearest to a float32 (ties to even), as bits. */
export const singleToBfloat = (single: number): number => {
  value[0] = single;
  const word = bits[0] ?? 0;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff;
};
