// Matrix products, plain and over packed weights, attention and rotary positions, and the conversions between
// packed and plain numbers. Layouts are ONNX Runtime's (contrib operators: docs/ContribOperators.md of that project).
import type { DType } from '../dtype.ts';
import type { InputTypes, None, OperatorTable, TensorType } from '../operator.ts';
import { expectDtype, expectRank, float, int, need, sameType } from '../operator.ts';
import type { Dim, Shape } from '../shape.ts';
import {
  ShapeError,
  addDims,
  dimAt,
  matmulShape,
  normalizeAxis,
  sameDim,
  sameShape,
  showShape,
} from '../shape.ts';
import { gatherShape } from './layout.ts';

interface RotaryAttributes {
  readonly interleaved: boolean;
  /** Heads of a [B, T, heads*D] input; 0 when the input is [B, heads, T, D]. */
  readonly numHeads: number;
  /** How many of each head's features rotate; 0 for all. */
  readonly rotaryDim: number;
}

interface AttentionAttributes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly scale: number;
}

interface BlockWeight {
  /** Rows (outputs) and columns (inputs) of the weight. */
  readonly n: number;
  readonly k: number;
  readonly blockSize: number;
}

export interface LinearAttributes {
  matmul: None;
  /** alpha * op(a) @ op(b); transposition of the last two axes. */
  fusedMatMul: { readonly transA: boolean; readonly transB: boolean; readonly alpha: number };
  /** (a, b, c): a @ b^T + c, all of them matrices. */
  gemm: None;
  /** (x, positions, cos, sin): cos and sin are [positions, D/2]. */
  rotaryEmbedding: RotaryAttributes;
  /**
   * (q [B, T, heads*D], k, v [B, T, kvHeads*D], mask, pastKey, pastValue [B, kvHeads, C, D])
   * -> softmax(q (pastKey ++ k)^T scale + mask) (pastValue ++ v) [B, T, heads*D], pastKey ++ k, pastValue ++ v
   * [B, kvHeads, C + T, D]; mask broadcasts to [B, heads, T, C + T]. The kernel insists on its later outputs.
   */
  attention: AttentionAttributes;
  /** (x, data [N, K/block, block*bits/8], scales [N, K/block], zeroPoints?, _, bias?) -> x @ W^T. */
  matMulNBits: BlockWeight & { readonly bits: 2 | 4 | 8; readonly accuracy: 0 | 1 | 4 };
  /** (x, codes, absmax) -> x @ W^T; CPU: exact forward only (the transposed product is wrong there). */
  matMulBnb4: BlockWeight & { readonly type: 'nf4' | 'fp4' };
  /** (a [M, K], aScale, aZero, b [N, K], bScale [N], bZero [N]) -> (a - aZero) @ (b - bZero)^T * aScale * bScale. */
  qGemm: None;
  /** (x, scale, zero?): blockSize 0 means one scale per tensor or per index of axis. */
  quantizeLinear: { readonly axis: number; readonly blockSize: number; readonly to: DType };
  dequantizeLinear: { readonly axis: number; readonly blockSize: number };
  /** (data, indices, scales, zero?): rows of a table packed in blocks along its last axis. */
  gatherBlockQuantized: { readonly blockSize: number; readonly bits: 4 | 8 };
}

const packed = ['int8', 'uint8', 'int4', 'uint4', 'int32'] as const;

function expectShape(
  type: TensorType | undefined,
  what: string,
  ...shapes: readonly Shape[]
): void {
  if (type === undefined) return;
  if (!shapes.some((shape) => sameShape(type.shape, shape))) {
    throw new ShapeError(
      `${what} must be ${shapes.map(showShape).join(' or ')}, not ${showShape(type.shape)}`,
    );
  }
}

function linear(x: TensorType, { n, k }: BlockWeight): TensorType {
  if (!sameDim(dimAt(x.shape, -1), k)) {
    throw new ShapeError(`the input's last dimension must be ${k}, not ${dimAt(x.shape, -1)}`);
  }
  return { dtype: x.dtype, shape: [...x.shape.slice(0, -1), n] };
}

function expectScales(inputs: InputTypes, axis: number, blockSize: number): void {
  const [x, scale] = [need(inputs, 0), need(inputs, 1)];
  if (blockSize === 0) {
    if (scale.shape.length === 0) return;
    expectShape(scale, 'the scale', [dimAt(x.shape, axis)], [1]);
    return;
  }
  const at = normalizeAxis(axis, x.shape.length);
  const blocks = x.shape.map((dim, i) =>
    i !== at ? dim : typeof dim === 'number' ? Math.ceil(dim / blockSize) : dim,
  );
  expectShape(scale, 'the scale', blocks);
}

export const linearOps: OperatorTable<LinearAttributes> = {
  matmul: {
    arity: [2, 2],
    infer: (inputs) => [
      { dtype: sameType(inputs), shape: matmulShape(need(inputs, 0).shape, need(inputs, 1).shape) },
    ],
    onnx: () => ({ type: 'MatMul' }),
  },
  fusedMatMul: {
    arity: [2, 2],
    infer: (inputs, { transA, transB }) => [
      {
        dtype: sameType(inputs),
        shape: matmulShape(need(inputs, 0).shape, need(inputs, 1).shape, transA, transB),
      },
    ],
    onnx: ({ transA, transB, alpha }) => ({
      type: 'FusedMatMul',
      domain: 'com.microsoft',
      attributes: { transA: int(transA), transB: int(transB), alpha: float(alpha) },
    }),
  },
  gemm: {
    arity: [3, 3],
    infer: (inputs) => {
      const [a, b, c] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
      expectRank(a, 'the left', 2);
      expectRank(b, 'the right', 2);
      const shape = matmulShape(a.shape, b.shape, false, true);
      expectShape(c, 'what is added', shape);
      return [{ dtype: sameType(inputs), shape }];
    },
    onnx: () => ({ type: 'Gemm', attributes: { transB: int(true) } }),
  },
  rotaryEmbedding: {
    arity: [4, 4],
    infer: (inputs, { numHeads }) => {
      const [x, positions, cos, sin] = [0, 1, 2, 3].map((i) => need(inputs, i)) as [
        TensorType,
        TensorType,
        TensorType,
        TensorType,
      ];
      expectDtype(positions, 'positions', 'int64');
      sameType([x, cos, sin]);
      expectRank(x, 'the input', numHeads > 0 ? 3 : 4);
      expectRank(cos, 'the cosine table', 2);
      expectShape(sin, 'the sine table', cos.shape);
      const time = dimAt(x.shape, numHeads > 0 ? 1 : 2);
      expectShape(positions, 'positions', [dimAt(x.shape, 0), time], [1]);
      return [x];
    },
    onnx: ({ interleaved, numHeads, rotaryDim }) => ({
      type: 'RotaryEmbedding',
      domain: 'com.microsoft',
      attributes: {
        interleaved: int(interleaved),
        ...(numHeads > 0 ? { num_heads: int(numHeads) } : {}),
        ...(rotaryDim > 0 ? { rotary_embedding_dim: int(rotaryDim) } : {}),
      },
    }),
  },
  attention: {
    arity: [6, 6],
    infer: (inputs, { heads, kvHeads }) => {
      const [q, k, v, mask, pastKey, pastValue] = inputs.map((_, at) => need(inputs, at)) as [
        TensorType,
        TensorType,
        TensorType,
        TensorType,
        TensorType,
        TensorType,
      ];
      sameType([q, k, v, mask, pastKey, pastValue]);
      expectRank(q, 'the query', 3);
      const [batch, time, width] = [0, 1, 2].map((axis) => dimAt(q.shape, axis)) as [Dim, Dim, Dim];
      if (typeof width !== 'number' || width % heads !== 0 || heads % kvHeads !== 0)
        throw new ShapeError(`a query of width ${width} doesn't divide into ${heads} heads`);
      const size = width / heads;
      for (const x of [k, v]) expectShape(x, 'keys and values', [batch, time, kvHeads * size]);
      const past = dimAt(pastKey.shape, 2);
      for (const x of [pastKey, pastValue])
        expectShape(x, 'cached keys and values', [batch, kvHeads, past, size]);
      expectRank(mask, 'the mask', 4);
      const present = { dtype: q.dtype, shape: [batch, kvHeads, addDims(past, time), size] };
      return [q, present, present];
    },
    onnx: ({ heads, kvHeads, scale }) => ({
      type: 'Attention',
      attributes: {
        q_num_heads: int(heads),
        kv_num_heads: int(kvHeads),
        scale: float(scale),
      },
    }),
  },
  matMulNBits: {
    arity: [3, 6],
    infer: (inputs, attributes) => {
      const { n, k, blockSize, bits } = attributes;
      const blocks = Math.ceil(k / blockSize);
      expectDtype(need(inputs, 1), 'the packed weight', 'uint8');
      expectShape(need(inputs, 1), 'the packed weight', [n, blocks, (blockSize * bits) / 8]);
      expectShape(need(inputs, 2), 'the scales', [n, blocks], [n * blocks]);
      const zeros = Math.ceil((blocks * bits) / 8);
      expectShape(inputs[3], 'the zero points', [n, zeros], [n * zeros]);
      expectShape(inputs[5], 'the bias', [n]);
      return [linear(need(inputs, 0), attributes)];
    },
    onnx: ({ n, k, blockSize, bits, accuracy }) => ({
      type: 'MatMulNBits',
      domain: 'com.microsoft',
      attributes: {
        K: int(k),
        N: int(n),
        bits: int(bits),
        block_size: int(blockSize),
        accuracy_level: int(accuracy),
      },
    }),
  },
  matMulBnb4: {
    arity: [3, 3],
    infer: (inputs, attributes) => {
      const { n, k, blockSize } = attributes;
      expectDtype(need(inputs, 1), 'the codes', 'uint8');
      expectShape(need(inputs, 1), 'the codes', [Math.ceil((n * k) / 2)]);
      expectShape(need(inputs, 2), 'the absmax', [Math.ceil((n * k) / blockSize)]);
      return [linear(need(inputs, 0), attributes)];
    },
    onnx: ({ n, k, blockSize, type }) => ({
      type: 'MatMulBnb4',
      domain: 'com.microsoft',
      attributes: {
        K: int(k),
        N: int(n),
        block_size: int(blockSize),
        quant_type: int(type === 'nf4' ? 1 : 0),
        training_mode: int(0),
        transB: int(1),
      },
    }),
  },
  qGemm: {
    arity: [6, 6],
    infer: (inputs) => {
      const [a, aScale, b, bScale] = [0, 1, 3, 4].map((at) => need(inputs, at));
      if (a === undefined || aScale === undefined || b === undefined || bScale === undefined)
        throw new ShapeError('two matrices with their scales');
      expectRank(a, 'the activations', 2);
      expectRank(b, 'the weight', 2);
      expectDtype(a, 'the activations', 'int8', 'uint8');
      expectDtype(b, 'the weight', 'int8', 'uint8');
      expectShape(bScale, 'the scales', [dimAt(b.shape, 0)]);
      return [{ dtype: aScale.dtype, shape: matmulShape(a.shape, b.shape, false, true) }];
    },
    onnx: () => ({ type: 'QGemm', domain: 'com.microsoft', attributes: { transB: int(true) } }),
  },
  quantizeLinear: {
    arity: [2, 3],
    infer: (inputs, { axis, blockSize, to }) => {
      expectScales(inputs, axis, blockSize);
      if (inputs[2] !== undefined) expectDtype(inputs[2], 'the zero point', to);
      return [{ dtype: to, shape: need(inputs, 0).shape }];
    },
    onnx: ({ axis, blockSize, to }) => ({
      type: 'QuantizeLinear',
      attributes: {
        axis: int(axis),
        ...(blockSize > 0 ? { block_size: int(blockSize) } : {}),
        output_dtype: int(onnxQuantised[to] ?? 0),
      },
    }),
  },
  dequantizeLinear: {
    arity: [2, 3],
    infer: (inputs, { axis, blockSize }) => {
      const x = need(inputs, 0);
      expectDtype(x, 'the input', ...packed);
      expectScales(inputs, axis, blockSize);
      if (inputs[2] !== undefined) expectDtype(inputs[2], 'the zero point', x.dtype);
      return [{ dtype: need(inputs, 1).dtype, shape: x.shape }];
    },
    onnx: ({ axis, blockSize }) => ({
      type: 'DequantizeLinear',
      attributes: { axis: int(axis), ...(blockSize > 0 ? { block_size: int(blockSize) } : {}) },
    }),
  },
  gatherBlockQuantized: {
    arity: [3, 4],
    infer: (inputs, { bits }) => {
      const [data, indices, scales] = [need(inputs, 0), need(inputs, 1), need(inputs, 2)];
      expectRank(data, 'the table', 2);
      expectDtype(indices, 'indices', 'int32', 'int64');
      const width = dimAt(data.shape, 1);
      // A uint8 table holds 8 / bits numbers in each byte.
      const columns =
        data.dtype === 'uint8' && typeof width === 'number' ? (width * 8) / bits : width;
      return [
        {
          dtype: scales.dtype,
          shape: gatherShape([dimAt(data.shape, 0), columns], indices.shape, 0),
        },
      ];
    },
    onnx: ({ blockSize, bits }) => ({
      type: 'GatherBlockQuantized',
      domain: 'com.microsoft',
      attributes: {
        gather_axis: int(0),
        quantize_axis: int(1),
        block_size: int(blockSize),
        bits: int(bits),
      },
    }),
  },
};

const onnxQuantised: Partial<Record<DType, number>> = { uint8: 2, int8: 3, uint4: 21, int4: 22 };
