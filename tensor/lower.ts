// What a graph becomes for a device whose kernels differ from the CPU's: the same numbers from operators it has, and
// which operators would be carried to the CPU and back. Found by running every operator on onnxruntime-node 1.30's
// WebGPU provider with the fall-back forbidden (test/tensor/webgpu.test.ts repeats it where there is an adapter).
import { GraphBuilder } from './builder.ts';
import type { DType } from './dtype.ts';
import type { Graph, GraphNode, NodeOf, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { OpKind } from './ops.ts';

/** Operators without a WebGPU kernel: right, but each costs two copies between the devices. */
export const webgpuLacks: ReadonlySet<OpKind> = new Set([
  'mod',
  'or',
  'isNaN',
  'sign',
  'round',
  'constantOfShape',
  'range',
  'logSoftmax',
  'fusedMatMul',
  'attention',
  'qGemm',
  'quantizeLinear',
]);

type Lowering<K extends OpKind> = (
  b: GraphBuilder,
  inputs: readonly (Value | undefined)[],
  node: NodeOf<K>,
) => readonly Value[];

const input = (values: readonly (Value | undefined)[], at: number): Value => {
  const value = values[at];
  if (value === undefined) throw new GraphError(`input ${at} is missing`);
  return value;
};

function swapLast(b: GraphBuilder, x: Value): Value {
  const axes = x.shape.map((_, axis) => axis);
  return b.transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

/** Tables that WebGPU can't read elements of. Float32 takes more room there, but one copy of it stays on the device. */
const unreadable: ReadonlySet<DType> = new Set(['bfloat16', 'int8']);

const forWebgpu: { readonly [K in OpKind]?: Lowering<K> } = {
  fusedMatMul: (b, inputs, { attributes: { transA, transB, alpha } }) => {
    const [left, right] = [input(inputs, 0), input(inputs, 1)];
    const product = b.matmul(
      transA ? swapLast(b, left) : left,
      transB ? swapLast(b, right) : right,
    );
    return [alpha === 1 ? product : b.mul(product, alpha)];
  },
  logSoftmax: (b, inputs, { attributes: { axis } }) => {
    const x = input(inputs, 0);
    return [b.sub(x, b.reduceLogSumExp(x, [axis], true))];
  },
  // What is picked is then float32 already; casting it is nothing. Casting the weight is done once, while loading.
  gather: (b, inputs, { attributes: { axis } }) => {
    const [table, indices] = [input(inputs, 0), input(inputs, 1)];
    const readable = unreadable.has(table.dtype) ? b.cast(table, 'float32') : table;
    return [b.gather(readable, indices, axis)];
  },
  // Its kernel gives the mean where the inverse deviation belongs, silently (1.30).
  rmsNormalization: (b, inputs, { attributes: { epsilon } }) => {
    const [x, scale] = [input(inputs, 0), input(inputs, 1)];
    const variance = b.reduceMean(b.mul(x, x), [-1], true);
    const inverse = b.reciprocal(b.sqrt(b.add(variance, epsilon)));
    return [b.rmsNormalization(x, scale, epsilon), inverse];
  },
};

/** The graph for a device: itself, or rebuilt where the device needs other operators. */
export function lower(graph: Graph, device: string): Graph {
  return device === 'webgpu' ? rebuild(graph, forWebgpu) : graph;
}

/**
 * Kinds of operators in a graph that run on the CPU although the device is another. Arithmetic of sizes and positions
 * (int64) does so too, where its numbers come from and go to; it isn't counted.
 */
export function fallbacks(graph: Graph, device: string): readonly OpKind[] {
  if (device !== 'webgpu') return [];
  const lacking = lower(graph, device).nodes.filter(
    ({ kind, inputs }) =>
      webgpuLacks.has(kind) ||
      // A weight is cast while loading.
      (kind !== 'cast' && inputs.some((value) => value?.dtype === 'bfloat16')),
  );
  return [...new Set(lacking.map(({ kind }) => kind))];
}

type Lowerings = { readonly [K in OpKind]?: Lowering<K> };

function rebuild(graph: Graph, rules: Lowerings): Graph {
  const b = new GraphBuilder();
  const now = new Map<Value, Value>();
  const mapped = (value: Value): Value => {
    const found = now.get(value);
    if (found === undefined) throw new GraphError(`${value.name} comes from nowhere`);
    return found;
  };
  for (const value of graph.inputs) now.set(value, b.input(value.name, value.dtype, value.shape));
  for (const entry of graph.initializers) {
    const { name, dtype, shape } = entry.value;
    switch (entry.kind) {
      case 'constant':
        now.set(entry.value, b.constant(entry.data, dtype, shape));
        break;
      case 'external':
        now.set(entry.value, b.external(name, dtype, shape, entry.range));
        break;
      case 'memory':
        now.set(entry.value, b.initializer(name, dtype, shape));
    }
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((value) => value && mapped(value));
    const make = () => apply(b, inputs, node, rules);
    const scope = node.name.slice(0, Math.max(0, node.name.lastIndexOf('/')));
    const outputs = scope === '' ? make() : b.scope(scope, make);
    node.outputs.forEach((value, i) => now.set(value, input(outputs, i)));
  }
  for (const { name, value } of graph.outputs) b.output(name, mapped(value));
  return b.build();
}

function apply(
  b: GraphBuilder,
  inputs: readonly (Value | undefined)[],
  node: GraphNode,
  rules: Lowerings,
): readonly Value[] {
  // A rule belongs to the kind it is found under.
  const rule = rules[node.kind] as Lowering<OpKind> | undefined;
  return rule === undefined
    ? b.apply<OpKind>(node.kind, inputs, node.attributes)
    : rule(b, inputs, node);
}
