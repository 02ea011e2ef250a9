// The vocabulary of gradient rules. A rule gets a node, the gradients of its outputs, and answers for each input how
// to build that input's gradient; only what is asked for is built. No rule knows which values are trainable.
import type { GraphBuilder } from '../builder.ts';
import type { InputGradients } from '../graph-core.ts';
import type { Value } from '../graph.ts';
import { GraphError } from '../graph.ts';
import type { Shape } from '../shape.ts';
import { sameDim, sameShape } from '../shape.ts';

export interface VjpContext<A> {
  readonly b: GraphBuilder;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: A;
  /** Of the outputs; undefined where nothing depends on one. */
  readonly gradients: readonly (Value | undefined)[];
}

export type Vjp<A> = (context: VjpContext<A>) => InputGradients;

/** A rule for every operator of a family, or the word that there is none. */
export type GradientRules<T> = { readonly [K in keyof T]: Vjp<T[K]> | 'nondifferentiable' };

/** The value at `index`, which the operator always has. */
export function at(values: readonly (Value | undefined)[], index: number): Value {
  const value = values[index];
  if (value === undefined) throw new GraphError(`no tensor at ${index}`);
  return value;
}

/** The gradient of the first output, for operators of which only that one is differentiated. */
export function onlyFirst({ gradients, outputs }: VjpContext<unknown>): Value {
  const other = gradients.findIndex((gradient, i) => i > 0 && gradient !== undefined);
  if (other > 0)
    throw new GraphError(`${at(outputs, other).name}: no gradient through this output`);
  return at(gradients, 0);
}

/** Undoes broadcasting: sums over the axes along which a value of `shape` was repeated. */
export function sumTo(b: GraphBuilder, gradient: Value, shape: Shape): Value {
  if (sameShape(gradient.shape, shape)) return gradient;
  const extra = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((dim, axis) => {
    const own = shape[axis - extra];
    return own === undefined || (sameDim(own, 1) && !sameDim(dim, 1)) ? [axis] : [];
  });
  return b.reshape(b.reduceSum(gradient, axes), shape);
}

/** Runs once, when first asked: for what the gradients of several inputs share. */
export function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
