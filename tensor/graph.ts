// The graph as data: values with dtype and shape, nodes in the order they run, where initialisers come from.
// Immutable once built, serialisable, and ignorant of the runtime. Built with builder.ts.
import type { DType, TensorData } from './dtype.ts';
import type { OpAttributes, OpKind } from './ops.ts';
import type { Shape } from './shape.ts';

/** One tensor of a graph. Identity is the object; names are unique within a builder. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** A byte range of a file that the runtime maps: any offset, any file (a safetensors file as it is). */
export interface FileRange {
  /** Absolute path. */
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

export type Initializer =
  /** Written into the model: small things only. */
  | { readonly kind: 'constant'; readonly value: Value; readonly data: TensorData }
  /** Mapped from a file when the session is created; never copied into the model. */
  | { readonly kind: 'external'; readonly value: Value; readonly range: FileRange }
  /** A typed array handed over when the session is created. */
  | { readonly kind: 'memory'; readonly value: Value };

export interface NodeOf<K extends OpKind> {
  readonly kind: K;
  /** Scope path and operator: `layers.3.attn/matmul`. */
  readonly name: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: OpAttributes[K];
}

/** A node of any kind, discriminated by `kind`. */
export type GraphNode = { [K in OpKind]: NodeOf<K> }[OpKind];

export interface GraphOutput {
  readonly name: string;
  readonly value: Value;
}

export interface Graph {
  readonly inputs: readonly Value[];
  readonly outputs: readonly GraphOutput[];
  readonly initializers: readonly Initializer[];
  /** In an order that runs. */
  readonly nodes: readonly GraphNode[];
}

/** A graph that can't be: names the operator, its scope path and the shapes. Always a bug in what built it. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}
