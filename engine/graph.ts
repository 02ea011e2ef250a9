// The graph of steps as indices: an order to run in, cycles with their trail, and the subsets that the command line names.

import type { Diagnostic } from '../schemas/diagnostic.ts';
import { parseInstance } from './edges.ts';
import type { Experiment, InstanceName, StepInstance } from './experiment.ts';
import { err, ok, type Result } from './result.ts';
import { didYouMean } from './suggest.ts';

/** `after[i]` lists what i waits for. */
export type Graph = readonly (readonly number[])[];

export const dependents = (after: Graph): readonly (readonly number[])[] => {
  const before: number[][] = after.map(() => []);
  for (const [index, list] of after.entries()) for (const other of list) before[other]?.push(index);
  return before;
};

/** The smallest of a changing set of numbers, in logarithmic time. */
class SmallestFirst {
  readonly #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= value) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
      const below = heap[child] ?? 0;
      if (below >= last) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

/** Every step after those it waits for; of steps that could go in either order, that of the file. Leaves out cycles. */
export const topologicalOrder = (after: Graph): readonly number[] => {
  const before = dependents(after);
  const waiting = after.map((list) => list.length);
  const ready = new SmallestFirst();
  for (const [index, count] of waiting.entries()) if (count === 0) ready.push(index);
  const order: number[] = [];
  while (ready.size > 0) {
    const next = ready.pop() ?? 0;
    order.push(next);
    for (const other of before[next] ?? []) {
      waiting[other] = (waiting[other] ?? 0) - 1;
      if (waiting[other] === 0) ready.push(other);
    }
  }
  return order;
};

const reachable = (from: number, edges: Graph, within: ReadonlySet<number>): Set<number> => {
  const seen = new Set([from]);
  const queue = [from];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const other of edges[next] ?? []) {
      if (!within.has(other) || seen.has(other)) continue;
      seen.add(other);
      queue.push(other);
    }
  }
  return seen;
};

/** The shortest way from `start` back to itself along `after`, as [start, what it needs, ..., what needs start]. */
const shortestCycle = (
  start: number,
  after: Graph,
  within: ReadonlySet<number>,
): readonly number[] | null => {
  const cameFrom = new Map<number, number>();
  let frontier = [start];
  while (frontier.length > 0) {
    const next: number[] = [];
    for (const node of frontier) {
      for (const other of after[node] ?? []) {
        if (other === start) {
          const trail = [node];
          for (let at = node; at !== start;) {
            at = cameFrom.get(at) ?? start;
            trail.push(at);
          }
          return trail.reverse();
        }
        if (!within.has(other) || cameFrom.has(other)) continue;
        cameFrom.set(other, node);
        next.push(other);
      }
    }
    frontier = next;
  }
  return null;
};

/** One shortest cycle of every knot of steps that wait for each other, from its first step in the file. */
export const cycles = (after: Graph): readonly (readonly number[])[] => {
  const ordered = new Set(topologicalOrder(after));
  const left = new Set([...after.keys()].filter((index) => !ordered.has(index)));
  const before = dependents(after);
  const found: (readonly number[])[] = [];
  for (const start of [...left]) {
    if (!left.has(start)) continue;
    const cycle = shortestCycle(start, after, left);
    if (cycle === null) {
      left.delete(start);
      continue;
    }
    found.push(cycle);
    const forwards = reachable(start, after, left);
    for (const other of reachable(start, before, left)) if (forwards.has(other)) left.delete(other);
  }
  return found;
};

export interface Subset {
  readonly only?: readonly string[];
  readonly from?: readonly string[];
  readonly until?: readonly string[];
}

const problem = (message: string, hint: string | undefined): Diagnostic => ({
  severity: 'error',
  code: 'E208',
  message,
  ...(hint === undefined ? {} : { hint }),
});

/** The instances that `adapter`, `adapter@r=8` or `adapter[r=8,train_on=all]` stands for. */
export const findInstances = (
  experiment: Experiment,
  text: string,
): Result<readonly StepInstance[], Diagnostic> => {
  const ids = [...new Set(experiment.instances.map((instance) => instance.id))];
  const wanted = parseInstance(text);
  const ofStep = experiment.instances.filter((instance) => instance.id === wanted?.id);
  if (wanted === null || ofStep.length === 0) {
    return err(
      problem(
        `there is no step "${text}"`,
        didYouMean(wanted?.id ?? text, ids) ?? `the steps are ${ids.join(', ')}`,
      ),
    );
  }
  const found = ofStep.filter((instance) => {
    const inside = instance.name.slice(instance.id.length + 1, -1).split(',');
    return wanted.axes.every(([axis, value]) => inside.includes(`${axis}=${value}`));
  });
  if (found.length > 0) return ok(found);
  return err(
    problem(
      `no instance of "${wanted.id}" matches "${text}"`,
      `there are ${ofStep.map((instance) => instance.name).join(', ')}`,
    ),
  );
};

export const namesAfter = (instance: StepInstance): readonly InstanceName[] => [
  ...Object.values(instance.inputs).flatMap((edges) =>
    edges.flatMap((edge) => (edge.kind === 'step' ? [edge.from] : [])),
  ),
  ...instance.needs,
];

/** What `--only`, `--from` and `--until` leave of the experiment: named steps, what comes after, what comes before. */
export const selectInstances = (
  experiment: Experiment,
  subset: Subset,
): Result<ReadonlySet<InstanceName>, readonly Diagnostic[]> => {
  const index = new Map(experiment.instances.map((instance, at) => [instance.name, at]));
  const after = experiment.instances.map((instance) =>
    namesAfter(instance).flatMap((name) => index.get(name) ?? []),
  );
  const everything = new Set(experiment.instances.keys());
  const problems: Diagnostic[] = [];
  const closure = (names: readonly string[], edges: Graph | null): ReadonlySet<number> => {
    const all = new Set<number>();
    for (const name of names) {
      const found = findInstances(experiment, name);
      if (!found.ok) {
        problems.push(found.error);
        continue;
      }
      for (const instance of found.value) {
        const at = index.get(instance.name) ?? 0;
        for (const other of edges === null ? [at] : reachable(at, edges, everything))
          all.add(other);
      }
    }
    return all;
  };
  const before = dependents(after);
  const limits = [
    subset.only === undefined ? everything : closure(subset.only, null),
    subset.from === undefined ? everything : closure(subset.from, before),
    subset.until === undefined ? everything : closure(subset.until, after),
  ];
  if (problems.length > 0) return err(problems);
  const kept = experiment.instances.filter((_, at) => limits.every((limit) => limit.has(at)));
  return ok(new Set(kept.map((instance) => instance.name)));
};
