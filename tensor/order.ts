// The order nodes run in: stages first, then the order of building; and only nodes that an output needs.
import type { GraphNode, Value } from './graph.ts';
import { GraphError } from './graph.ts';

export function orderNodes(
  entries: readonly { readonly node: GraphNode; readonly stage: number }[],
  outputs: readonly Value[],
): readonly GraphNode[] {
  const needed = new Set<Value | undefined>(outputs);
  const live: { node: GraphNode; stage: number; index: number }[] = [];
  for (let index = entries.length - 1; index >= 0; index--) {
    const entry = entries[index];
    if (entry?.node.outputs.some((value) => needed.has(value)) !== true) continue;
    for (const value of entry.node.inputs) needed.add(value);
    live.push({ ...entry, index });
  }
  live.sort((a, b) => (a.stage === b.stage ? a.index - b.index : a.stage < b.stage ? -1 : 1));
  const nodes = live.map(({ node }) => node);
  const producer = new Map<Value, GraphNode>();
  for (const node of nodes) for (const value of node.outputs) producer.set(value, node);
  const done = new Set<GraphNode>();
  for (const node of nodes) {
    for (const value of node.inputs) {
      const source = value === undefined ? undefined : producer.get(value);
      if (source !== undefined && !done.has(source)) {
        throw new GraphError(
          `${node.name} runs before ${source.name}, whose result it reads: its stage is too low`,
        );
      }
    }
    done.add(node);
  }
  return nodes;
}
