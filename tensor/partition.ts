// A graph cut into graphs that run one after the other, so that their weights can be packed at the same time
// (parted-session.ts). Cuts lie where few values cross, which is between the layers of a model.

import { byteLength, isFloat } from './dtype.ts';
import type { Graph, GraphNode, NodeOf, Value } from './graph.ts';
import type { OpKind } from './ops.ts';
import { concatShapes, elements } from './shape.ts';

/** What reads weights that are packed: products, and casts of 16-bit weights just before their product. */
const packing: ReadonlySet<OpKind> = new Set(['matmul', 'fusedMatMul', 'gemm', 'cast']);

/** For each node, bytes of the float weight that it multiplies with, as float32: what packing it costs. */
const packedBytes = ({ initializers, nodes }: Graph): readonly number[] => {
  const sizes = new Map<Value | undefined, number>();
  for (const { kind, value } of initializers) {
    if (kind !== 'external' || value.shape.length !== 2 || !isFloat(value.dtype)) continue;
    sizes.set(value, byteLength('float32', Number(elements(value.shape))));
  }
  return nodes.map(({ kind, inputs }) =>
    packing.has(kind) ? sum(inputs.map((value) => sizes.get(value) ?? 0)) : 0,
  );
};

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

/** Bytes that a session of this graph packs when it is created. */
export const bytesToPack = (graph: Graph): number => sum(packedBytes(graph));

/** How far from an equal share a cut may lie, as a part of a share, so that fewer values cross. */
const LEEWAY = 0.1;

/**
 * `count` graphs (fewer where there is nothing to divide), each with about as many bytes to pack, the first with `lead`
 * more (a quarter of its share at most). Inputs of each: those of the graph that it reads, and values of parts before it,
 * by their names; these are outputs there. Outputs of the graph are outputs of the part that makes them.
 */
export const partition = (graph: Graph, count: number, lead = 0): readonly Graph[] => {
  const parts: Graph[] = [];
  let rest = graph;
  for (let left = count; left > 1; left -= 1) {
    const at = cutAt(rest, left, left === count ? lead : 0);
    if (at === null) break;
    const [first, second] = cut(rest, at);
    parts.push(first);
    rest = second;
  }
  return [...parts, rest];
};

/** The index of the node before which the first of `count` parts ends; null where nothing can be divided. */
const cutAt = (graph: Graph, count: number, lead: number): number | null => {
  const bytes = packedBytes(graph);
  const total = sum(bytes);
  const equal = total / count;
  const share = equal + Math.min((lead * (count - 1)) / count, equal / 4);
  const crossing = crossings(graph);
  let packed = 0;
  let best: number | null = null;
  let least = Infinity;
  for (const [index, own] of bytes.entries()) {
    packed += own;
    if (packed === 0) continue;
    if (packed === total) break;
    const off = Math.abs(packed / share - 1);
    // Less than one, between cuts that as many values cross; outside of the leeway the distance alone.
    const cost = off <= LEEWAY ? (crossing[index] ?? 0) + off : bytes.length + off;
    if (cost < least) [best, least] = [index + 1, cost];
  }
  return best;
};

/** For each node, how many values made up to it are read behind it. What is only concatenated crosses as one (cut). */
const crossings = ({ nodes }: Graph): readonly number[] => {
  const lastRead = new Map<Value, number>();
  nodes.forEach(({ kind, inputs }, index) => {
    for (const value of inputs)
      if (value !== undefined && kind !== 'concat') lastRead.set(value, index);
  });
  const change = new Array<number>(nodes.length + 1).fill(0);
  nodes.forEach(({ outputs }, index) => {
    for (const value of outputs) {
      const last = lastRead.get(value) ?? index;
      change[index] = (change[index] ?? 0) + 1;
      change[last] = (change[last] ?? 0) - 1;
    }
  });
  let now = 0;
  return nodes.map((_, index) => (now += change[index] ?? 0));
};

const cut = (graph: Graph, at: number): readonly [Graph, Graph] => {
  const { before, after } = splitConcats(graph, at);
  const made = new Set(before.flatMap(({ outputs }) => outputs));
  const crossing = new Set<Value>();
  for (const value of after.flatMap(({ inputs }) => inputs))
    if (value !== undefined && made.has(value)) crossing.add(value);
  const values = [...crossing];
  const [own, others] = [
    graph.outputs.filter(({ value }) => made.has(value)),
    graph.outputs.filter(({ value }) => !made.has(value)),
  ];
  return [
    over(graph, before, [...own, ...values.map((value) => ({ name: value.name, value }))], []),
    over(graph, after, others, values),
  ];
};

/** A graph of some of another's nodes, with the inputs and initialisers that these read. */
const over = (
  graph: Graph,
  nodes: readonly GraphNode[],
  outputs: Graph['outputs'],
  more: readonly Value[],
): Graph => {
  const read = new Set<Value | undefined>([
    ...nodes.flatMap(({ inputs }) => inputs),
    ...outputs.map(({ value }) => value),
  ]);
  const isRead = (value: Value): boolean => read.has(value);
  return {
    nodes,
    outputs,
    inputs: [...graph.inputs.filter(isRead), ...more],
    initializers: graph.initializers.filter(({ value }) => isRead(value)),
  };
};

/**
 * Concatenations behind the cut (keys and values of all layers) whose first inputs lie before it and are read by nothing
 * else behind it: those are concatenated before it, and cross as one.
 */
const splitConcats = (
  { inputs, nodes }: Graph,
  at: number,
): { readonly before: readonly GraphNode[]; readonly after: readonly GraphNode[] } => {
  const [before, after] = [nodes.slice(0, at), nodes.slice(at)];
  const there = new Set([...inputs, ...before.flatMap(({ outputs }) => outputs)]);
  const readers = new Map<Value, number>();
  for (const value of after.flatMap(({ inputs }) => inputs))
    if (value !== undefined) readers.set(value, (readers.get(value) ?? 0) + 1);
  const joined: GraphNode[] = [];
  const rest = after.map((node) => {
    if (node.kind !== 'concat') return node;
    const values = node.inputs.filter((value) => value !== undefined);
    const end = values.findIndex((value) => !there.has(value) || readers.get(value) !== 1);
    if (end < 2) return node;
    const first = concatOf(node, values.slice(0, end));
    joined.push(first);
    return { ...node, inputs: [...first.outputs, ...values.slice(end)] };
  });
  return { before: [...before, ...joined], after: rest };
};

const concatOf = (node: NodeOf<'concat'>, inputs: readonly Value[]): NodeOf<'concat'> => {
  const last = inputs.at(-1);
  if (last === undefined) throw new Error('a concatenation of nothing');
  const shapes = inputs.map(({ shape }) => shape);
  const value: Value = {
    name: `${last.name}.joined`,
    dtype: last.dtype,
    shape: concatShapes(shapes, node.attributes.axis),
  };
  return { ...node, name: value.name, inputs, outputs: [value] };
};
