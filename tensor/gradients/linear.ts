// Gradients of matrix products, over plain and over packed weights, and of rotary positions. A packed weight is
// frozen: only the activations' gradient exists, and it is taken through exactly the weights the forward pass used
// (a transposed packed copy would be other weights: 6.5 % off with 4 bits).
import type { GraphBuilder } from '../builder.ts';
import type { Value } from '../graph.ts';
import type { LinearAttributes } from '../ops/linear.ts';
import type { Shape } from '../shape.ts';
import { dimAt, elements } from '../shape.ts';
import type { GradientRules, Vjp } from './rule.ts';
import { at, onlyFirst, sumTo } from './rule.ts';
import { unpackBlocks, unpackBnb4 } from './unpack.ts';

interface Product {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
}

const product = (b: GraphBuilder, left: Value, right: Value, options: Product): Value =>
  options.transA || options.transB || options.alpha !== 1
    ? b.fusedMatMul(left, right, options)
    : b.matmul(left, right);

/** [..., rows, columns] as [everything else, columns]: one product instead of a sum over a batch of them. */
function flat(b: GraphBuilder, x: Value): Value {
  const lead: Shape = x.shape.slice(0, -1);
  return b.reshape(x, [elements(lead), dimAt(x.shape, -1)]);
}

/** y = alpha op(left) @ op(right). */
const productRule =
  ({ transA, transB, alpha }: Product): Vjp<unknown> =>
  (c) => {
    const { b } = c;
    const [dy, left, right] = [onlyFirst(c), at(c.inputs, 0), at(c.inputs, 1)];
    // A matrix on the right of a batch: its gradient is one product over all rows of the batch.
    const shared = right.shape.length === 2 && left.shape.length > 2 && !transA;
    const toLeft = (): Value =>
      transA
        ? product(b, right, dy, { transA: transB, transB: true, alpha })
        : product(b, dy, right, { transA: false, transB: !transB, alpha });
    const toRight = (): Value => {
      const [rows, grads] = shared ? [flat(b, left), flat(b, dy)] : [left, dy];
      return transB
        ? product(b, grads, rows, { transA: true, transB: transA, alpha })
        : product(b, rows, grads, { transA: !transA, transB: false, alpha });
    };
    return [() => sumTo(b, toLeft(), left.shape), () => sumTo(b, toRight(), right.shape)];
  };

export const linearGradients: GradientRules<LinearAttributes> = {
  matmul: productRule({ transA: false, transB: false, alpha: 1 }),
  fusedMatMul: (c) => productRule(c.attributes)(c),
  gemm: (c) => [
    ...productRule({ transA: false, transB: true, alpha: 1 })(c).slice(0, 2),
    () => onlyFirst(c),
  ],
  // A rotation's transpose is the rotation by the negative angle.
  rotaryEmbedding: (c) => [
    () => {
      const { b } = c;
      const sin = b.neg(at(c.inputs, 3));
      const inputs = [onlyFirst(c), at(c.inputs, 1), at(c.inputs, 2), sin];
      return b.one('rotaryEmbedding', inputs, c.attributes);
    },
  ],
  attention: 'nondifferentiable',
  matMulNBits: (c) => {
    const dy = onlyFirst(c);
    const bias = c.inputs[5];
    const weight = () =>
      unpackBlocks(
        c.b,
        { data: at(c.inputs, 1), scales: at(c.inputs, 2), zeroPoints: c.inputs[3] },
        c.attributes,
      );
    return [
      () => c.b.matmul(dy, weight()),
      undefined,
      undefined,
      undefined,
      undefined,
      bias && (() => sumTo(c.b, dy, bias.shape)),
    ];
  },
  // The runtime's own backward product (transB = 0) silently multiplies by the wrong matrix on the CPU.
  matMulBnb4: (c) => [
    () =>
      c.b.matmul(
        onlyFirst(c),
        unpackBnb4(c.b, { codes: at(c.inputs, 1), absmax: at(c.inputs, 2) }, c.attributes),
      ),
  ],
  qGemm: 'nondifferentiable',
  quantizeLinear: 'nondifferentiable',
  dequantizeLinear: 'nondifferentiable',
  gatherBlockQuantized: 'nondifferentiable',
};
