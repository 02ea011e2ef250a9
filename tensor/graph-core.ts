// The machinery of building: names and scopes, initialisers, one `apply` through which every node passes and is
// checked, the tape that gradient.ts walks back, and the order nodes run in. Operator methods are in builder.ts.
import type { DType, TensorData } from './dtype.ts';
import { byteLength, fromNumbers, holds, slots } from './dtype.ts';
import type { FileRange, Graph, GraphNode, Initializer, NodeOf, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { Operator } from './operator.ts';
import type { OpAttributes, OpKind } from './ops.ts';
import { operators } from './ops.ts';
import { orderNodes } from './order.ts';
import type { Dim, Shape } from './shape.ts';
import { ShapeError, canonicalDim, elements, showShape, symbolsOf, termsOf } from './shape.ts';

/** Gradients of the inputs, each made only when called for; undefined where there is none. */
export type InputGradients = readonly ((() => Value) | undefined)[];

/** A subgraph with a gradient of its own: gradient() sees it as one step and never looks inside. */
export interface Composite {
  readonly kind: 'composite';
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly vjp: (gradients: readonly (Value | undefined)[]) => InputGradients;
}

export type TapeEntry = GraphNode | Composite;

export class GraphCore {
  readonly #inputs: Value[] = [];
  readonly #initializers: Initializer[] = [];
  readonly #nodes: { node: GraphNode; stage: number; late: boolean }[] = [];
  readonly #tape: TapeEntry[] = [];
  readonly #outputs = new Map<string, Value>();
  readonly #taken = new Map<string, number>();
  readonly #owned = new Set<Value>();
  readonly #constants = new Map<string, Value>();
  readonly #constantData = new Map<Value, TensorData>();
  readonly #sizes = new Map<Dim, Value>();
  readonly #late = new Set<Value>();
  #scope: readonly string[] = [];
  #stage = 0;
  #insideComposite = false;

  /** An input fed at each run. */
  input(name: string, dtype: DType, shape: Shape): Value {
    const value = this.#declare(name, dtype, shape);
    this.#inputs.push(value);
    return value;
  }

  /**
   * A constant written into the model. A number is a scalar; an array of numbers is converted to `dtype`. Equal
   * small constants are one, unless `shared` is false. For anything over a few kilobytes use `external` or
   * `initializer`.
   */
  constant(
    data: number | readonly number[] | TensorData,
    dtype: DType = 'float32',
    shape?: Shape,
    shared = true,
  ): Value {
    const array =
      typeof data === 'number'
        ? fromNumbers(dtype, [data])
        : Array.isArray(data)
          ? fromNumbers(dtype, data)
          : (data as TensorData);
    const count = typeof data === 'number' ? [] : [data.length];
    const dims = shape ?? count;
    const expected = elements(dims);
    if (
      !holds(dtype, array) ||
      typeof expected !== 'number' ||
      slots(dtype, expected) !== array.length
    ) {
      this.#fail(`constant ${dtype} ${showShape(dims)} can't be made of ${array.length} numbers`);
    }
    const small = shared && array.length <= 64;
    const key = small ? `${dtype} ${showShape(dims)} ${array.join(',')}` : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const value = this.#own({ name: this.#unique('constant'), dtype, shape: dims });
    this.#initializers.push({ kind: 'constant', value, data: array });
    if (key !== undefined) this.#constants.set(key, value);
    this.#constantData.set(value, array);
    return value;
  }

  /** The elements of a value made by `constant`, for rules that fold them; undefined for any other value. */
  constantValue(value: Value): TensorData | undefined {
    return this.#constantData.get(value);
  }

  /** An initialiser mapped from a file where it lies. */
  external(name: string, dtype: DType, shape: Shape, range: FileRange): Value {
    const count = elements(shape);
    if (typeof count !== 'number' || byteLength(dtype, count) !== range.bytes) {
      this.#fail(
        `${name}: ${dtype} ${showShape(shape)} isn't ${range.bytes} bytes of ${range.path}`,
      );
    }
    const value = this.#declare(name, dtype, shape);
    this.#initializers.push({ kind: 'external', value, range });
    return value;
  }

  /** An initialiser whose typed array is given to createSession under this name. */
  initializer(name: string, dtype: DType, shape: Shape): Value {
    if (typeof elements(shape) !== 'number')
      this.#fail(`${name}: ${showShape(shape)} isn't a fixed shape`);
    const value = this.#declare(name, dtype, shape);
    this.#initializers.push({ kind: 'memory', value });
    return value;
  }

  /** Names an output; a value may have several names. */
  output(name: string, value: Value): void {
    if (this.#outputs.has(name)) this.#fail(`two outputs are named ${name}`);
    this.#check(value);
    this.#outputs.set(name, value);
  }

  /** Names made inside start with `name/`; scopes nest with a dot: `layers.3.attn/matmul`. */
  scope<T>(name: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = [...outer, name];
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** The current scope path, '' outside any. */
  get path(): string {
    return this.#scope.join('.');
  }

  /**
   * Nodes made inside run after all nodes of lower stages (default stage 0), whatever the order of building; within
   * a stage the order of building stands. Where nodes run decides how long what they read stays in memory.
   */
  stage<T>(stage: number, body: () => T): T {
    const outer = this.#stage;
    this.#stage = stage;
    try {
      return body();
    } finally {
      this.#stage = outer;
    }
  }

  /**
   * Marks a value as late: nodes that read it, or what is made from it, come after all others of their stage. Gradients
   * are late. The runtime visits of a node's inputs first the one whose node is listed last; so that what a backward
   * pass computes from the forward pass alone (a sigmoid, say) isn't computed with the forward pass and kept until
   * then, it must be listed before the gradients it is multiplied with.
   */
  late(value: Value): void {
    this.#late.add(value);
  }

  /**
   * A subgraph with its own backward pass: `forward` builds the outputs, `vjp` gets their gradients (undefined where
   * nothing depends on one) and answers, for each of `inputs`, how to build that input's gradient.
   */
  composite<const O extends readonly Value[]>(
    name: string,
    inputs: readonly Value[],
    forward: () => O,
    vjp: (gradients: readonly (Value | undefined)[]) => InputGradients,
  ): O {
    const outer = this.#insideComposite;
    this.#insideComposite = true;
    try {
      const outputs = this.scope(name, forward);
      if (!outer)
        this.#tape.push({ kind: 'composite', name: this.#join(name), inputs, outputs, vjp });
      return outputs;
    } finally {
      this.#insideComposite = outer;
    }
  }

  /** Adds one node after checking dtypes and shapes. The methods of GraphBuilder are the comfortable way. */
  apply<K extends OpKind>(
    kind: K,
    inputs: readonly (Value | undefined)[],
    attributes: OpAttributes[K],
  ): readonly Value[] {
    const operator: Operator<OpAttributes[K]> = operators[kind];
    const name = this.#unique(this.#join(kind));
    const [least, most] = operator.arity;
    if (inputs.length < least || inputs.length > most) {
      this.#fail(`${name}: ${inputs.length} inputs, but ${kind} takes ${least} to ${most}`);
    }
    for (const value of inputs) if (value !== undefined) this.#check(value);
    const types = this.checked(name, inputs, () => operator.infer(inputs, attributes));
    const outputs = types.map((type, i) =>
      this.#own({ name: i === 0 ? name : `${name}.${i}`, dtype: type.dtype, shape: type.shape }),
    );
    // The one place where a node of a known kind becomes one of the union.
    const node = {
      kind,
      name,
      inputs,
      outputs,
      attributes,
    } satisfies NodeOf<K> as unknown as GraphNode;
    const late = inputs.some((value) => value !== undefined && this.#late.has(value));
    if (late) for (const value of outputs) this.#late.add(value);
    this.#nodes.push({ node, stage: this.#stage, late });
    if (!this.#insideComposite) this.#tape.push(node);
    return outputs;
  }

  /** An int64 vector of sizes: constant where all are numbers, else read from the inputs when the graph runs. */
  sizes(dims: Shape): Value {
    if (dims.every((dim) => typeof dim === 'number')) return this.constant(dims, 'int64');
    const parts: Value[] = [];
    let numbers: number[] = [];
    for (const dim of dims.map(canonicalDim)) {
      if (typeof dim === 'number') {
        numbers.push(dim);
        continue;
      }
      if (numbers.length > 0) parts.push(this.constant(numbers, 'int64'));
      numbers = [];
      parts.push(this.#size(dim));
    }
    if (numbers.length > 0) parts.push(this.constant(numbers, 'int64'));
    const [only] = parts;
    return only !== undefined && parts.length === 1
      ? only
      : this.#one('concat', parts, { axis: 0 });
  }

  /** What gradient() walks back over: nodes and composites in the order of building. */
  get tape(): readonly TapeEntry[] {
    return this.#tape;
  }

  /** The graph of all nodes that an output needs. */
  build(): Graph {
    if (this.#outputs.size === 0) this.#fail('the graph has no outputs');
    const outputs = [...this.#outputs].map(([name, value]) => ({ name, value }));
    const nodes = orderNodes(
      this.#nodes,
      outputs.map((output) => output.value),
    );
    const read = new Set([...nodes.flatMap((node) => node.inputs), ...outputs.map((o) => o.value)]);
    return {
      inputs: [...this.#inputs],
      outputs,
      initializers: this.#initializers.filter(({ value }) => read.has(value)),
      nodes,
    };
  }

  /** Runs a shape computation; what doesn't fit becomes an error with the operator and all its inputs. */
  protected checked<T>(name: string, inputs: readonly (Value | undefined)[], compute: () => T): T {
    try {
      return compute();
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const given = inputs.map((value) =>
        value === undefined ? '-' : `${value.name} ${value.dtype} ${showShape(value.shape)}`,
      );
      const place = name.includes('/') ? name : this.#join(name);
      throw new GraphError(`${place}: ${error.message} (inputs: ${given.join('; ')})`);
    }
  }

  #one<K extends OpKind>(kind: K, inputs: readonly Value[], attributes: OpAttributes[K]): Value {
    return first(this.apply(kind, inputs, attributes));
  }

  /** A one-element int64 vector with a dimension's size, computed once, before everything else. */
  #size(dim: Dim): Value {
    const known = this.#sizes.get(dim);
    if (known !== undefined) return known;
    // First of all stages, so that whoever asks first doesn't decide who may use it.
    const sum = this.stage(-Infinity, () => this.#compute(dim));
    this.#sizes.set(dim, sum);
    return sum;
  }

  #compute(dim: Dim): Value {
    const terms = termsOf(dim).map(({ coefficient, symbols }) => {
      let product: Value | undefined;
      if (coefficient !== 1 || symbols.length === 0)
        product = this.constant([coefficient], 'int64');
      for (const symbol of symbols) {
        const size = this.#sizes.get(symbol) ?? this.#readSize(symbol);
        product = product === undefined ? size : this.#one('mul', [product, size], {});
      }
      return product ?? this.constant([1], 'int64');
    });
    return terms.reduce((left, right) => this.#one('add', [left, right], {}));
  }

  #readSize(symbol: string): Value {
    for (const value of this.#inputs) {
      const axis = value.shape.findIndex((dim) => dim === symbol);
      if (axis < 0) continue;
      const size = this.#one('shape', [value], { start: axis, end: axis + 1 });
      this.#sizes.set(symbol, size);
      return size;
    }
    return this.#fail(`no input has a dimension ${symbol}, so its size can't be known`);
  }

  #declare(name: string, dtype: DType, shape: Shape): Value {
    if (this.#taken.has(name)) this.#fail(`two values are named ${name}`);
    this.#taken.set(name, 1);
    try {
      for (const dim of shape) symbolsOf(dim);
      return this.#own({ name, dtype, shape: shape.map(canonicalDim) });
    } catch (error) {
      if (error instanceof ShapeError) this.#fail(`${name}: ${error.message}`);
      throw error;
    }
  }

  #own(value: Value): Value {
    this.#owned.add(value);
    return value;
  }

  #check(value: Value): void {
    if (!this.#owned.has(value)) this.#fail(`${value.name} belongs to another builder`);
  }

  #join(name: string): string {
    return this.#scope.length === 0 ? name : `${this.path}/${name}`;
  }

  #unique(base: string): string {
    for (;;) {
      const count = (this.#taken.get(base) ?? 0) + 1;
      this.#taken.set(base, count);
      const name = count === 1 ? base : `${base}_${count}`;
      if (count === 1 || !this.#taken.has(name)) {
        if (count > 1) this.#taken.set(name, 1);
        return name;
      }
    }
  }

  #fail(message: string): never {
    throw new GraphError(this.path === '' ? message : `${message} (in ${this.path})`);
  }
}

/** The first of a node's outputs. */
export function first(values: readonly Value[]): Value {
  const [value] = values;
  if (value === undefined) throw new GraphError('an operator without outputs');
  return value;
}
