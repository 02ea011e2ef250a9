// The order nodes run in: stages first, in each what is late last, then the order of building; and only nodes that an output needs.
import type { GraphNode, Value } from './graph.ts';
import { GraphError } from './graph.ts';

export function orderNodes(
  entries: readonly { readonly node: GraphNode; readonly stage: number; readonly late: boolean }[],
  outputs: readonly Value[],
): readonly GraphNode[] {
  const needed = new Set<Value | undefined>(outputs);
  const live: { node: GraphNode; stage: number; late: boolean; index: number }[] = [];
  for (let index = entries.length - 1; index >= 0; index--) {
    const entry = entries[index];
    if (entry?.node.outputs.some((value) => needed.has(value)) !== true) continue;
    for (const value of entry.node.inputs) needed.add(value);
    live.push({ ...entry, index });
  }
  live.sort((a, b) => {
    if (a.stage !== b.stage) return a.stage < b.stage ? -1 : 1;
    return Number(a.late) - Number(b.late) || a.index - b.index;
  });
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
