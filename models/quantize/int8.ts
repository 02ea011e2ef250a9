// LLM.int8's weights: rows of int8 with one absmax each (bitsandbytes int8_vectorwise_quant, without outliers).
// Paper: https://arxiv.org/abs/2208.07339.

/** Ties to even, as torch.round. */
const roundEven = (value: number): number => {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
};

export interface Int8Rows {
  readonly codes: Int8Array;
  /** float32 [rows]: bitsandbytes' SCB. */
  readonly absmax: Float32Array;
}

export const quantizeInt8 = (values: Float32Array, columns: number): Int8Rows => {
  const rows = values.length / columns;
  const codes = new Int8Array(values.length);
  const absmax = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    let largest = 0;
    for (let i = start; i < start + columns; i++)
      largest = Math.max(largest, Math.abs(values[i] ?? 0));
    absmax[row] = largest;
    if (largest === 0) continue;
    const factor = Math.fround(127 / largest);
    for (let i = start; i < start + columns; i++)
      codes[i] = roundEven(Math.fround((values[i] ?? 0) * factor));
  }
  return { codes, absmax };
};

/** 1/127 as bitsandbytes multiplies with it. */
const perCode = Math.fround(7.874015718698502e-3);

export const dequantizeInt8 = (
  codes: Int8Array,
  absmax: Float32Array,
  columns: number,
): Float32Array => {
  const out = new Float32Array(codes.length);
  for (let i = 0; i < out.length; i++)
    out[i] = Math.fround((codes[i] ?? 0) * (absmax[Math.floor(i / columns)] ?? 0)) * perCode;
  return out;
};

/** The same numbers as uint8 around 128. */
export const unsignedCodes = (codes: Uint8Array): Uint8Array => codes.map((code) => code ^ 0x80);

/** The one factor per row that a kernel multiplies with. */
export const int8Scales = (absmax: Float32Array): Float32Array =>
  absmax.map((largest) => largest * perCode);
