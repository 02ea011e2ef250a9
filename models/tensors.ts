// A model's tensors inside one graph: each is declared once, mapped from where it lies, and found by its Hugging Face
// name. What is trained takes the place of what is stored (`substitutes`); nothing here knows what a tensor is for.

import type { GraphBuilder } from '../tensor/builder.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Value } from '../tensor/graph.ts';
import type { FileRange, Weight, WeightSource } from './weights.ts';

/** What products are computed in; norms, attention, the sum of layers and logits stay float32. */
export type Compute = 'float32' | 'float16';

/** A checkpoint that lacks what the configuration promises. */
export class MissingTensor extends Error {
  override readonly name = 'MissingTensor';
}

export class ModelTensors {
  readonly graph: GraphBuilder;
  readonly source: WeightSource;
  readonly compute: Compute;
  readonly #substitutes: ReadonlyMap<string, Value>;
  readonly #declared = new Map<string, Value>();
  readonly #floats = new Map<string, Value>();

  /** `substitutes`: values (float32) that stand for weights of these names: graph inputs that are trained. */
  constructor(
    graph: GraphBuilder,
    source: WeightSource,
    substitutes: ReadonlyMap<string, Value> = new Map(),
    compute: Compute = 'float32',
  ) {
    this.graph = graph;
    this.source = source;
    this.compute = compute;
    this.#substitutes = substitutes;
  }

  has(name: string): boolean {
    return this.#substitutes.has(name) || this.source.get(name) !== undefined;
  }

  /** The value that stands for a trained weight. */
  substitute(name: string): Value | undefined {
    return this.#substitutes.get(name);
  }

  /** How a weight is stored. */
  weight(name: string): Weight {
    const weight = this.source.get(name);
    if (weight === undefined) throw new MissingTensor(`the checkpoint has no tensor ${name}`);
    return weight;
  }

  /** A float tensor: norms and biases as float32, matrices in what products are computed in. */
  float(name: string, dtype: Compute = 'float32'): Value {
    const trained = this.#substitutes.get(name);
    if (trained !== undefined) return this.graph.cast(trained, dtype);
    const weight = this.weight(name);
    if (weight.kind !== 'float')
      throw new MissingTensor(`${name} is stored as ${weight.kind}, where floats are needed`);
    return this.asFloat(name, weight, dtype);
  }

  /** Float weights that go by a name of their own (several merged into one). */
  asFloat(name: string, weight: Weight & { readonly kind: 'float' }, dtype: Compute): Value {
    const key = `${dtype} ${name}`;
    const known = this.#floats.get(key);
    if (known !== undefined) return known;
    const stored = this.mapped(name, weight.dtype, weight.shape, weight.data);
    const value = this.graph.cast(stored, dtype);
    this.#floats.set(key, value);
    return value;
  }

  /** An initialiser mapped from a file, declared once. */
  mapped(name: string, dtype: DType, shape: readonly number[], data: FileRange): Value {
    const known = this.#declared.get(name);
    if (known !== undefined) return known;
    const value = this.graph.external(name, dtype, shape, data);
    this.#declared.set(name, value);
    return value;
  }
}
