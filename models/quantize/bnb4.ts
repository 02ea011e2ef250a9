// bitsandbytes' 4-bit formats: NF4 and FP4 over blocks of the row-major flatten, with double quantisation of the
// blocks' absmax. The same codes and the same values as bitsandbytes 0.50 (functional.py, backends/default/ops.py).
// Papers: QLoRA, https://arxiv.org/abs/2305.14314; 8-bit optimisers, https://arxiv.org/abs/2110.02861.

import { torchMean } from './torch-sum.ts';

export type Bnb4Type = 'nf4' | 'fp4';

const nf4 = Float32Array.of(
  -1.0,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0.0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1.0,
);
/** Sign in the highest bit of four, magnitudes in twelfths. */
const fp4Twelfths = [0, 0.0625, 8, 12, 4, 6, 2, 3];
const fp4 = Float32Array.from({ length: 16 }, (_, code) => {
  const magnitude = (fp4Twelfths[code & 7] ?? 0) / 12;
  // bitsandbytes' second zero is positive too.
  return code < 8 || magnitude === 0 ? magnitude : -magnitude;
});

export const bnb4Codebooks: Readonly<Record<Bnb4Type, Float32Array>> = { nf4, fp4 };

/** Codes in the order of their values, and the midpoints between neighbours: a value on a midpoint takes the lower. */
interface Decision {
  readonly codes: Uint8Array;
  readonly thresholds: Float32Array;
  /** How many thresholds lie below the start of each of `bins` equal parts of [-1, 1]: where the search begins. */
  readonly starts: Uint8Array;
}

const bins = 4096;

const decisionOf = (codebook: Float32Array): Decision => {
  // Of two equal values (FP4's zeros) the first code stays.
  const ordered = [...codebook.keys()]
    .filter((code) => codebook.indexOf(codebook[code] ?? 0) === code)
    .sort((a, b) => (codebook[a] ?? 0) - (codebook[b] ?? 0));
  const thresholds = new Float32Array(ordered.length - 1);
  for (let i = 0; i < thresholds.length; i++)
    thresholds[i] = ((codebook[ordered[i] ?? 0] ?? 0) + (codebook[ordered[i + 1] ?? 0] ?? 0)) / 2;
  const starts = Uint8Array.from({ length: bins + 1 }, (_, bin) => {
    const low = (bin * 2) / bins - 1;
    return thresholds.findIndex((threshold) => threshold >= low);
  });
  // findIndex says -1 (255) where all lie below.
  return {
    codes: Uint8Array.from(ordered),
    thresholds,
    starts: starts.map((start) => Math.min(start, thresholds.length)),
  };
};

const decisions: Readonly<Record<Bnb4Type, Decision>> = {
  nf4: decisionOf(nf4),
  fp4: decisionOf(fp4),
};

export interface Bnb4Codes {
  /** Two codes a byte, the first in the high half; an odd count is filled up with the code of 0. */
  readonly data: Uint8Array;
  /** One per block. */
  readonly absmax: Float32Array;
}

export const quantizeBnb4 = (
  type: Bnb4Type,
  values: Float32Array,
  blockSize: number,
): Bnb4Codes => {
  const { codes, thresholds, starts } = decisions[type];
  const blocks = Math.ceil(values.length / blockSize);
  const absmax = new Float32Array(blocks);
  const data = new Uint8Array(Math.ceil(values.length / 2));
  const zeroCode = bnb4Codebooks[type].indexOf(0);
  if (values.length % 2 === 1) data[data.length - 1] = zeroCode;
  const one = new Float32Array(1);
  for (let block = 0; block < blocks; block++) {
    const start = block * blockSize;
    const end = Math.min(start + blockSize, values.length);
    let largest = 0;
    for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(values[i] ?? 0));
    absmax[block] = largest;
    const divisor = Math.max(largest, 1e-38);
    // Whole blocks are multiplied by the reciprocal, a partial last one is divided: as the reference does.
    const whole = end - start === blockSize;
    const factor = Math.fround(1 / Math.fround(divisor));
    for (let i = start; i < end; i++) {
      const value = values[i] ?? 0;
      one[0] = whole ? value * factor : value / divisor;
      const scaled = Math.min(1, Math.max(-1, one[0]));
      let rank = starts[((scaled + 1) * (bins / 2)) | 0] ?? 0;
      while (rank < thresholds.length && scaled > (thresholds[rank] ?? 0)) rank++;
      const code = codes[rank] ?? 0;
      data[i >> 1] = (data[i >> 1] ?? 0) | (i % 2 === 0 ? code << 4 : code);
    }
  }
  return { data, absmax };
};

export const dequantizeBnb4 = (
  { type, blockSize }: { readonly type: Bnb4Type; readonly blockSize: number },
  data: Uint8Array,
  absmax: Float32Array,
  count: number,
): Float32Array => {
  const codebook = bnb4Codebooks[type];
  const out = new Float32Array(count);
  for (let start = 0, block = 0; start < count; start += blockSize, block++) {
    const scale = absmax[block] ?? 0;
    const end = Math.min(start + blockSize, count);
    for (let i = start; i < end; i++) {
      const byte = data[i >> 1] ?? 0;
      out[i] = (codebook[i % 2 === 0 ? byte >> 4 : byte & 15] ?? 0) * scale;
    }
  }
  return out;
};

/** torch.linspace(0.1, 1, n) in float32, fused multiply and add; the second half is counted from the end. */
const linspace = (count: number): Float32Array => {
  const start = Math.fround(0.1);
  const step = Math.fround(Math.fround(1 - start) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) =>
    i < Math.floor(count / 2) ? start + step * i : 1 - step * (count - 1 - i),
  );
};

let dynamicMapValues: Float32Array | undefined;

/** create_dynamic_map(signed, 7 exponent bits, 8 bits): 256 values from -0.99 to 1, denser near 0. */
export const dynamicMap = (): Float32Array => {
  if (dynamicMapValues !== undefined) return dynamicMapValues;
  const values: number[] = [0, 1];
  for (let i = 0; i < 7; i++) {
    const bounds = linspace(2 ** i + 1);
    for (let j = 0; j + 1 < bounds.length; j++) {
      const mean = Math.fround(Math.fround((bounds[j] ?? 0) + (bounds[j + 1] ?? 0)) / 2);
      const value = Math.fround(Math.fround(10 ** (i - 6)) * mean);
      values.push(value, -value);
    }
  }
  return (dynamicMapValues = Float32Array.from(values).sort());
};

export interface NestedAbsmax {
  readonly codes: Uint8Array;
  /** float32, one per 256 blocks. */
  readonly absmax: Float32Array;
  readonly offset: number;
}

export const nestedBlockSize = 256;

/** Double quantisation: absmax less its mean, in blocks of 256, on the dynamic map. */
export const quantizeAbsmax = (absmax: Float32Array): NestedAbsmax => {
  const map = dynamicMap();
  const offset = torchMean(absmax);
  const blocks = Math.ceil(absmax.length / nestedBlockSize);
  const codes = new Uint8Array(absmax.length);
  const nested = new Float32Array(blocks);
  for (let block = 0; block < blocks; block++) {
    const start = block * nestedBlockSize;
    const end = Math.min(start + nestedBlockSize, absmax.length);
    let largest = 0;
    for (let i = start; i < end; i++)
      largest = Math.max(largest, Math.abs(Math.fround((absmax[i] ?? 0) - offset)));
    nested[block] = largest;
    // Equal blocks are all code 0 there (0 / 0 compares with nothing); times a scale of 0 any code would do.
    if (largest === 0) continue;
    for (let i = start; i < end; i++) {
      const centred = Math.fround((absmax[i] ?? 0) - offset);
      const scaled = Math.fround(centred / largest);
      codes[i] = nearest(map, Math.min(1, Math.max(-1, scaled)));
    }
  }
  return { codes, absmax: nested, offset };
};

export const dequantizeAbsmax = (
  codes: Uint8Array,
  nested: Float32Array,
  map: Float32Array,
  blockSize: number,
  offset: number,
): Float32Array => {
  const out = new Float32Array(codes.length);
  for (let i = 0; i < out.length; i++)
    out[i] =
      Math.fround((map[codes[i] ?? 0] ?? 0) * (nested[Math.floor(i / blockSize)] ?? 0)) + offset;
  return out;
};

/** Index of the nearest value of a sorted map; halfway between two, the lower. */
const nearest = (map: Float32Array, value: number): number => {
  let low = 0;
  let high = map.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const threshold = Math.fround(((map[middle] ?? 0) + (map[middle + 1] ?? 0)) / 2);
    if (value > threshold) low = middle + 1;
    else high = middle;
  }
  return low;
};
