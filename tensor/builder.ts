// The builder everyone uses: one typed method per operator, over GraphCore's `apply`. Axes may count from the end.
// Shapes in the comments: B batch, T time, K inner, N columns.
import type { DType } from './dtype.ts';
import { GraphCore, first } from './graph-core.ts';
import type { Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { OpAttributes, OpKind } from './ops.ts';
import type { Reduction } from './ops/layout.ts';
import type { Dim, Shape } from './shape.ts';
import {
  addDims,
  dimAt,
  elements,
  normalizeAxis,
  reshapeTarget,
  sameDim,
  sameShape,
} from './shape.ts';

type ReduceKind = Extract<OpKind, `reduce${string}`>;
type BinaryKind =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'pow'
  | 'min'
  | 'max'
  | 'mod'
  | 'equal'
  | 'less'
  | 'lessOrEqual'
  | 'greater'
  | 'greaterOrEqual'
  | 'and'
  | 'or';
type UnaryKind =
  | 'not'
  | 'isNaN'
  | 'neg'
  | 'abs'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'reciprocal'
  | 'erf'
  | 'tanh'
  | 'sigmoid'
  | 'sin'
  | 'cos'
  | 'relu'
  | 'silu'
  | 'identity';

export class GraphBuilder extends GraphCore {
  // Arithmetic, broadcasting as NumPy does. A number on either side becomes a constant of the other's dtype.
  add = this.#binary('add');
  sub = this.#binary('sub');
  mul = this.#binary('mul');
  div = this.#binary('div');
  pow = this.#binary('pow');
  min = this.#binary('min');
  max = this.#binary('max');
  mod = this.#binary('mod');
  equal = this.#binary('equal');
  less = this.#binary('less');
  lessOrEqual = this.#binary('lessOrEqual');
  greater = this.#binary('greater');
  greaterOrEqual = this.#binary('greaterOrEqual');
  and = this.#binary('and');
  or = this.#binary('or');
  not = this.#unary('not');
  isNaN = this.#unary('isNaN');
  neg = this.#unary('neg');
  abs = this.#unary('abs');
  sign = this.#unary('sign');
  floor = this.#unary('floor');
  ceil = this.#unary('ceil');
  round = this.#unary('round');
  exp = this.#unary('exp');
  log = this.#unary('log');
  sqrt = this.#unary('sqrt');
  reciprocal = this.#unary('reciprocal');
  erf = this.#unary('erf');
  tanh = this.#unary('tanh');
  sigmoid = this.#unary('sigmoid');
  sin = this.#unary('sin');
  cos = this.#unary('cos');
  relu = this.#unary('relu');
  /** x * sigmoid(x), one kernel. */
  silu = this.#unary('silu');
  identity = this.#unary('identity');

  // Over `axes` (all when left out); keepDims is false unless said.
  reduceSum = this.#reduce('reduceSum');
  reduceMean = this.#reduce('reduceMean');
  reduceMax = this.#reduce('reduceMax');
  reduceMin = this.#reduce('reduceMin');
  reduceSumSquare = this.#reduce('reduceSumSquare');
  reduceLogSumExp = this.#reduce('reduceLogSumExp');

  where(condition: Value, a: Value | number, b: Value | number): Value {
    const dtype = typeof a !== 'number' ? a.dtype : typeof b !== 'number' ? b.dtype : 'float32';
    const lift = (x: Value | number): Value =>
      typeof x === 'number' ? this.constant(x, dtype) : x;
    return this.one('where', [condition, lift(a), lift(b)], {});
  }

  /** 'none' is exact (erf); 'tanh' is GPT-2's gelu_new. */
  gelu(x: Value, approximate: 'none' | 'tanh' = 'none'): Value {
    return this.one('gelu', [x], { approximate });
  }

  /** The value itself when it has that dtype already. */
  cast(x: Value, to: DType): Value {
    return x.dtype === to ? x : this.one('cast', [x], { to });
  }

  // ---- matrix products -------------------------------------------------------------------------------------

  /** [..., M, K] @ [..., K, N] -> [..., M, N] */
  matmul(a: Value, b: Value): Value {
    return this.one('matmul', [a, b], {});
  }

  /** alpha * op(a) @ op(b). With transB a weight [out, in] is used as it lies: x @ W^T. */
  fusedMatMul(
    a: Value,
    b: Value,
    options: { transA?: boolean; transB?: boolean; alpha?: number } = {},
  ): Value {
    const { transA = false, transB = false, alpha = 1 } = options;
    return this.one('fusedMatMul', [a, b], { transA, transB, alpha });
  }

  /** a [M, K] @ b [N, K]^T + c [M, N], in one pass over c. */
  gemm(a: Value, b: Value, c: Value): Value {
    return this.one('gemm', [a, b, c], {});
  }

  /** x @ W^T over block-packed weights; accuracy 1 is exact fp32, 4 rounds activations to int8 (faster). */
  matMulNBits(
    x: Value,
    weight: { data: Value; scales: Value; zeroPoints?: Value; bias?: Value },
    attributes: OpAttributes['matMulNBits'],
  ): Value {
    const { data, scales, zeroPoints, bias } = weight;
    const inputs = [x, data, scales, zeroPoints, undefined, bias];
    return this.one('matMulNBits', bias ? inputs : inputs.slice(0, zeroPoints ? 4 : 3), attributes);
  }

  /** x @ W^T over bitsandbytes' 4-bit codes. */
  matMulBnb4(
    x: Value,
    weight: { codes: Value; absmax: Value },
    attributes: OpAttributes['matMulBnb4'],
  ): Value {
    return this.one('matMulBnb4', [x, weight.codes, weight.absmax], attributes);
  }

  /**
   * (a - zero) @ (b - zero)^T times the scales: activations [M, K], a weight as it lies [N, K] with N scales: int8 around
   * 0, or uint8 around 128. Its zeros are its own: where the runtime makes a weight uint8 (see session.ts), it can't do
   * so twice with the same zeros.
   */
  qGemm(a: { data: Value; scale: Value; zero: Value }, b: { data: Value; scales: Value }): Value {
    const rows = Number(b.data.shape[0] ?? 0);
    const zeros =
      b.data.dtype === 'uint8'
        ? this.constant(new Uint8Array(rows).fill(128), 'uint8', [rows], false)
        : this.constant(new Int8Array(rows), 'int8', [rows], false);
    return this.one('qGemm', [a.data, a.scale, a.zero, b.data, b.scales, zeros], {});
  }

  /** Packed to float: q - zero, times scale; blockSize 0 is one scale per index of `axis` (or for all). */
  dequantizeLinear(
    x: Value,
    scale: Value,
    options: { zero?: Value; axis?: number; blockSize?: number } = {},
  ): Value {
    const { zero, axis = 1, blockSize = 0 } = options;
    return this.one('dequantizeLinear', trim([x, scale, zero]), { axis, blockSize });
  }

  quantizeLinear(
    x: Value,
    scale: Value,
    options: { to: DType; zero?: Value; axis?: number; blockSize?: number },
  ): Value {
    const { zero, axis = 1, blockSize = 0, to } = options;
    return this.one('quantizeLinear', trim([x, scale, zero]), { axis, blockSize, to });
  }

  /** Rows of a block-packed table [V, K/...] picked by `indices`, as floats. */
  gatherBlockQuantized(
    table: { data: Value; scales: Value; zeroPoints?: Value },
    indices: Value,
    attributes: OpAttributes['gatherBlockQuantized'],
  ): Value {
    const inputs = [table.data, indices, table.scales, table.zeroPoints];
    return this.one('gatherBlockQuantized', trim(inputs), attributes);
  }

  // ---- attention -------------------------------------------------------------------------------------------

  /** x [B, T, heads*D] with numHeads, or [B, heads, T, D]; positions int64 [B, T]; cos, sin [positions, D/2]. */
  rotaryEmbedding(
    x: Value,
    tables: { positions: Value; cos: Value; sin: Value },
    options: { numHeads?: number; interleaved?: boolean; rotaryDim?: number } = {},
  ): Value {
    const { numHeads = 0, interleaved = false, rotaryDim = 0 } = options;
    return this.one('rotaryEmbedding', [x, tables.positions, tables.cos, tables.sin], {
      numHeads,
      interleaved,
      rotaryDim,
    });
  }

  /** softmax(q (pastKey ++ k)^T scale + mask) (pastValue ++ v), one kernel of the CPU's. No gradient. */
  attention(
    parts: { q: Value; k: Value; v: Value; mask: Value; pastKey: Value; pastValue: Value },
    attributes: OpAttributes['attention'],
  ): Value {
    const { q, k, v, mask, pastKey, pastValue } = parts;
    const inputs = [q, k, v, mask, pastKey, pastValue];
    const [mixed] = this.apply('attention', inputs, attributes);
    if (mixed === undefined) throw new GraphError('attention has outputs');
    return mixed;
  }

  // ---- normalisation ---------------------------------------------------------------------------------------

  softmax(x: Value, axis = -1): Value {
    return this.one('softmax', [x], { axis });
  }

  logSoftmax(x: Value, axis = -1): Value {
    return this.one('logSoftmax', [x], { axis });
  }

  /** Over the last axis. */
  layerNormalization(x: Value, scale: Value, bias: Value | undefined, epsilon: number): Value {
    return this.one('layerNormalization', trim([x, scale, bias]), { epsilon });
  }

  /** x / sqrt(mean(x^2) + epsilon) * scale over the last axis. */
  rmsNormalization(x: Value, scale: Value, epsilon: number): Value {
    return this.one('rmsNormalization', [x, scale], { epsilon });
  }

  /** [rmsNormalization(x + skip), x + skip] in one kernel. No gradient: use add and rmsNormalization to train. */
  skipRmsNormalization(
    x: Value,
    skip: Value,
    scale: Value,
    epsilon: number,
  ): readonly [normalized: Value, sum: Value] {
    const [y, sum] = this.apply('skipRmsNormalization', [x, skip, scale], { epsilon });
    if (!y || !sum) throw new GraphError('skipRmsNormalization has two outputs');
    return [y, sum];
  }

  // ---- layout ----------------------------------------------------------------------------------------------

  transpose(x: Value, permutation: readonly number[]): Value {
    const axes = permutation.map((axis) => this.#axis(axis, x));
    return this.one('transpose', [x], { permutation: axes });
  }

  /** To `shape`, in which one dimension may be -1; names are read from the inputs when the graph runs. */
  reshape(x: Value, shape: Shape): Value {
    const target = this.checked('reshape', [x], () => reshapeTarget(x.shape, shape));
    if (sameShape(target, x.shape)) return x;
    const symbolic = target.filter((dim) => typeof dim === 'string');
    const kept = (dim: Dim, i: number): boolean =>
      typeof dim === 'string' && i < x.shape.length && sameDim(dim, x.shape[i] ?? -1);
    const unknown = target.filter((dim, i) => typeof dim === 'string' && !kept(dim, i));
    // A name is said with 0 (as in the input) or one -1 (the rest) where that is enough: no shape arithmetic then.
    const sizes =
      symbolic.length <= 1 || unknown.length <= 1
        ? this.constant(
            target.map((dim, i) =>
              typeof dim === 'number' ? dim : symbolic.length > 1 && kept(dim, i) ? 0 : -1,
            ),
            'int64',
          )
        : this.sizes(target);
    return this.one('reshape', [x, sizes], { shape: target });
  }

  squeeze(x: Value, axes: readonly number[]): Value {
    return this.one('squeeze', [x, this.constant(axes, 'int64')], { axes });
  }

  unsqueeze(x: Value, axes: readonly number[]): Value {
    return this.one('unsqueeze', [x, this.constant(axes, 'int64')], { axes });
  }

  concat(values: readonly Value[], axis: number): Value {
    const [only] = values;
    return only !== undefined && values.length === 1 ? only : this.one('concat', values, { axis });
  }

  /** Parts of the given sizes along an axis. */
  split(x: Value, axis: number, sizes: Shape): readonly Value[] {
    const at = this.#axis(axis, x);
    return this.apply('split', [x, this.sizes(sizes)], { axis: at, sizes });
  }

  /** Elements start..end-1 along one axis; numbers below 0 count from the end; names are allowed ('T', 'T-1'). */
  slice(x: Value, axis: number, start: Dim, end?: Dim): Value {
    const at = this.#axis(axis, x);
    const dim = dimAt(x.shape, at);
    const from = (place: Dim): Dim =>
      typeof place === 'number' && place < 0 ? addDims(dim, place) : place;
    const [begin, stop] = [from(start), end === undefined ? dim : from(end)];
    if (begin === 0 && sameDim(stop, dim)) return x;
    const inputs = [x, this.sizes([begin]), this.sizes([stop]), this.constant([at], 'int64')];
    return this.one('slice', inputs, { axis: at, start: begin, end: stop });
  }

  /** Zeros before and after along one axis. */
  pad(x: Value, axis: number, before: Dim, after: Dim): Value {
    const at = this.#axis(axis, x);
    const zero = this.constant(0, x.dtype);
    const inputs = [x, this.sizes([before, after]), zero, this.constant([at], 'int64')];
    return this.one('pad', inputs, { axis: at, before, after });
  }

  /** Broadcast to `shape`. */
  expand(x: Value, shape: Shape): Value {
    return sameShape(x.shape, shape) ? x : this.one('expand', [x, this.sizes(shape)], { shape });
  }

  /** A tensor of one number; made by expanding a scalar, which every provider can. */
  full(value: number, dtype: DType, shape: Shape): Value {
    const count = elements(shape);
    if (typeof count === 'number' && count <= 64) {
      return this.constant(new Array<number>(count).fill(value), dtype, shape);
    }
    return this.expand(this.constant(value, dtype), shape);
  }

  /** data[..., indices, ...]: slices of `axis` (0) picked by int64 or int32 indices of any shape. */
  gather(data: Value, indices: Value, axis = 0): Value {
    return this.one('gather', [data, indices], { axis: this.#axis(axis, data) });
  }

  /** out[i][j] = data[indices[i][j]][j] (axis 0): as torch.gather. */
  gatherElements(data: Value, indices: Value, axis: number): Value {
    return this.one('gatherElements', [data, indices], { axis: this.#axis(axis, data) });
  }

  /** Slices of the first k axes named by int64 indices [..., k]. */
  gatherND(data: Value, indices: Value): Value {
    return this.one('gatherND', [data, indices], {});
  }

  /** As torch.scatter / scatter_add. */
  scatterElements(
    data: Value,
    indices: Value,
    updates: Value,
    axis: number,
    reduction: Reduction = 'none',
  ): Value {
    const at = this.#axis(axis, data);
    return this.one('scatterElements', [data, indices, updates], { axis: at, reduction });
  }

  /** indices int64 [..., k] name slices of the first k axes; updates [..., rest of data's shape]. */
  scatterND(data: Value, indices: Value, updates: Value, reduction: Reduction = 'none'): Value {
    return this.one('scatterND', [data, indices, updates], { reduction });
  }

  /** The triangle of the last two axes; k shifts the diagonal. */
  trilu(x: Value, upper: boolean, k = 0): Value {
    const inputs = k === 0 ? [x] : [x, this.constant(k, 'int64')];
    return this.one('trilu', inputs, { upper });
  }

  /** Sizes of all axes (or start..end-1) as int64. */
  shapeOf(x: Value, start = 0, end = x.shape.length): Value {
    return this.one('shape', [x], { start, end });
  }

  /** One dimension (may be named) as an int64 scalar. */
  sizeOf(dim: Dim): Value {
    return typeof dim === 'number'
      ? this.constant(dim, 'int64')
      : this.reshape(this.sizes([dim]), []);
  }

  constantOfShape(shape: Shape, value: number, dtype: DType): Value {
    return this.one('constantOfShape', [this.sizes(shape)], { shape, value, dtype });
  }

  /** 0, 1 ... length-1; or from start in steps of delta. */
  range(length: Dim, options: { start?: number; delta?: number; dtype?: DType } = {}): Value {
    const { start = 0, delta = 1, dtype = 'int64' } = options;
    const count = this.cast(this.sizeOf(length), dtype);
    const limit = this.add(this.mul(count, delta), start);
    const inputs = [this.constant(start, dtype), limit, this.constant(delta, dtype)];
    return this.one('range', inputs, { length });
  }

  // ---- orders ----------------------------------------------------------------------------------------------

  argMax(x: Value, axis: number, keepDims = false): Value {
    return this.one('argMax', [x], { axis: this.#axis(axis, x), keepDims });
  }

  argMin(x: Value, axis: number, keepDims = false): Value {
    return this.one('argMin', [x], { axis: this.#axis(axis, x), keepDims });
  }

  /** [values, indices int64], largest first. */
  topK(x: Value, k: number, axis = -1): readonly [values: Value, indices: Value] {
    const at = this.#axis(axis, x);
    const [values, indices] = this.apply('topK', [x, this.constant([k], 'int64')], { k, axis: at });
    if (!values || !indices) throw new GraphError('topK has two outputs');
    return [values, indices];
  }

  cumSum(x: Value, axis: number, options: { exclusive?: boolean; reverse?: boolean } = {}): Value {
    const { exclusive = false, reverse = false } = options;
    const at = this.#axis(axis, x);
    return this.one('cumSum', [x, this.constant(at, 'int64')], { axis: at, exclusive, reverse });
  }

  /** `apply` for operators with one output. */
  one<K extends OpKind>(
    kind: K,
    inputs: readonly (Value | undefined)[],
    attributes: OpAttributes[K],
  ): Value {
    return first(this.apply(kind, inputs, attributes));
  }

  #unary(kind: UnaryKind): (x: Value) => Value {
    return (x) => this.one(kind, [x], {});
  }

  #binary(kind: BinaryKind): (a: Value | number, b: Value | number) => Value {
    return (a, b) => {
      const dtype = typeof a !== 'number' ? a.dtype : typeof b !== 'number' ? b.dtype : 'float32';
      const lift = (x: Value | number): Value =>
        typeof x === 'number' ? this.constant(x, dtype) : x;
      return this.one(kind, [lift(a), lift(b)], {});
    };
  }

  #reduce(kind: ReduceKind): (x: Value, axes?: readonly number[], keepDims?: boolean) => Value {
    return (x, axes, keepDims = false) => {
      const all = (axes ?? x.shape.map((_, axis) => axis)).map((axis) => this.#axis(axis, x));
      if (all.length === 0) return x;
      return this.one(kind, [x, this.constant(all, 'int64')], { axes: all, keepDims });
    };
  }

  #axis(axis: number, x: Value): number {
    return this.checked('axis', [x], () => normalizeAxis(axis, x.shape.length));
  }
}

/** Without inputs left out at the end. */
const trim = (inputs: readonly (Value | undefined)[]): readonly (Value | undefined)[] =>
  inputs.slice(0, inputs.findLastIndex((value) => value !== undefined) + 1);
