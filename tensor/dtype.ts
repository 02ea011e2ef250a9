// Element types: what the graph computes in, how ONNX numbers them, and which typed array holds them here.
// float16 and bfloat16 travel as raw 16-bit patterns; 4-bit types are packed two to a byte, low nibble first.

interface DTypeFacts {
  /** TensorProto.DataType of onnx.proto. */
  readonly onnx: number;
  readonly bits: number;
  readonly float: boolean;
}

export const dtypeFacts = {
  float32: { onnx: 1, bits: 32, float: true },
  uint8: { onnx: 2, bits: 8, float: false },
  int8: { onnx: 3, bits: 8, float: false },
  int32: { onnx: 6, bits: 32, float: false },
  int64: { onnx: 7, bits: 64, float: false },
  bool: { onnx: 9, bits: 8, float: false },
  float16: { onnx: 10, bits: 16, float: true },
  float64: { onnx: 11, bits: 64, float: true },
  bfloat16: { onnx: 16, bits: 16, float: true },
  uint4: { onnx: 21, bits: 4, float: false },
  int4: { onnx: 22, bits: 4, float: false },
} as const satisfies Record<string, DTypeFacts>;

export type DType = keyof typeof dtypeFacts;

interface ArrayTypes {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
  int4: Uint8Array;
  uint4: Uint8Array;
}

/** The typed array that holds elements of a dtype. */
export type ArrayOf<D extends DType> = ArrayTypes[D];
export type TensorData = ArrayTypes[DType];

const arrayConstructors = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int4: Uint8Array,
  uint4: Uint8Array,
} as const;

export const isFloat = (dtype: DType): boolean => dtypeFacts[dtype].float;

/** Bytes of `count` elements; 4-bit types round up to a whole byte. */
export const byteLength = (dtype: DType, count: number): number =>
  Math.ceil((count * dtypeFacts[dtype].bits) / 8);

/** Array slots of `count` elements: two 4-bit elements share one. */
export const slots = (dtype: DType, count: number): number =>
  dtypeFacts[dtype].bits === 4 ? Math.ceil(count / 2) : count;

/** A zeroed array for `count` elements. */
export function allocate<D extends DType>(dtype: D, count: number): ArrayOf<D> {
  return new arrayConstructors[dtype](slots(dtype, count)) as ArrayOf<D>;
}

/** Whether `data` is the kind of array that holds `dtype`. */
export const holds = (dtype: DType, data: TensorData): boolean =>
  data instanceof arrayConstructors[dtype];

/** Plain numbers as elements of a dtype; float16 and bfloat16 are rounded to nearest even. */
export function fromNumbers<D extends DType>(dtype: D, values: ArrayLike<number>): ArrayOf<D> {
  const out: TensorData = allocate(dtype, values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (out instanceof BigInt64Array) out[i] = BigInt(value);
    else if (dtype === 'float16') out[i] = float32ToFloat16(value);
    else if (dtype === 'bfloat16') out[i] = float32ToBfloat16(value);
    else if (dtype === 'bool') out[i] = value === 0 ? 0 : 1;
    else if (dtypeFacts[dtype].bits === 4) {
      const slot = i >> 1;
      out[slot] = (out[slot] ?? 0) | ((value & 15) << (i & 1 ? 4 : 0));
    } else out[i] = value;
  }
  return out as ArrayOf<D>;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Nearest bfloat16, ties to even; NaN stays NaN. */
export function float32ToBfloat16(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0] ?? 0;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function bfloat16ToFloat32(bits: number): number {
  scratchBits[0] = bits << 16;
  return scratch[0] ?? 0;
}

/** Nearest float16, ties to even, subnormals included; too large becomes infinity. */
export function float32ToFloat16(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude >= 0x38800000) {
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Subnormal: adding 0.5 makes the float32 unit in the last place equal to float16's smallest step.
  scratch[0] = Math.abs(value) + 0.5;
  return sign | ((scratchBits[0] ?? 0) - 0x3f000000);
}

export function float16ToFloat32(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
