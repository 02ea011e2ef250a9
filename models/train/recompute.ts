// Gradient checkpointing (Chen et al. 2016, https://arxiv.org/abs/1604.06174) in one graph: the forward pass keeps the
// input of every layer; the backward pass builds each layer once more from that input and differentiates the copy.
//
//   forward    x0 -> x1 -> ... -> xn -> loss
//   backward   for layer i = n-1 .. 0:   x'i = xi (after d x(i+1) is known)   x'i -> copy of layer i -> dxi, dA, dB
//
// The copy's input is tied to the incoming gradient (+ 0 * dx): else the runtime would find it equal to the original,
// merge the two, and keep everything after all. SmolLM2-135M, 512 tokens: 0.9 GB at most instead of 2.1
// (bench/train-lora.ts --recompute; weights are not packed then, which changes the last bits).

import { vectorJacobian } from '../../tensor/gradient.ts';
import type { Value } from '../../tensor/graph.ts';
import type { GraphBuilder } from '../../tensor/builder.ts';
import { headModule, modelModules } from '../modules.ts';
import type { TransformerParts } from '../transformer.ts';
import { block, embedded } from '../transformer.ts';

interface Recomputation {
  readonly parts: TransformerParts;
  /** What is trained, by name. */
  readonly values: ReadonlyMap<string, Value>;
  readonly ids: Value;
  readonly positions: Value;
  readonly lossOf: (hidden: Value) => Value;
}

export const recomputing = ({
  parts,
  values,
  ids,
  positions,
  lossOf,
}: Recomputation): { readonly loss: Value; readonly gradients: ReadonlyMap<string, Value> } => {
  const { config, tensors } = parts;
  const g = tensors.graph;
  const layers = config.layers;
  const segments = segmentsOf(parts, values);
  const gradients = new Map<string, Value>();

  /** Gradients of a segment's trainables into the map; that of its input is returned. */
  const backward = (segment: string, seed: Seed, input: Value | null, stage: number): Value => {
    const own = segments.get(segment) ?? [];
    const wanted = own.map((name) => values.get(name) ?? g.constant(0));
    const leaves = new Set(wanted);
    const found = vectorJacobian(g, [seed], input === null ? wanted : [...wanted, input], {
      // Listed after everything else, first layer first: the runtime then runs each as soon as it can. Listed where
      // they are made, they run after the whole backward pass and keep every activation until then.
      stageOf: (leaf) => (leaves.has(leaf) ? stage : undefined),
    });
    for (const [index, name] of own.entries()) {
      const gradient = found[index];
      if (gradient === undefined) continue;
      const known = gradients.get(name);
      gradients.set(
        name,
        known === undefined ? gradient : g.stage(layers + 2, () => g.add(known, gradient)),
      );
    }
    return found.at(-1) ?? seed.gradient;
  };

  const start = embedded(parts, ids, positions);
  const inputs = [start];
  for (let index = 0; index < layers; index++)
    inputs.push(block(parts, index, inputs[index] ?? start));

  const last = detached(g, inputs[layers] ?? start, null);
  const loss = lossOf(last);
  const one = g.constant(1);
  let incoming = backward('head', { value: loss, gradient: one }, last, layers + 1);
  for (let index = layers - 1; index >= 0; index--) {
    const input = detached(g, inputs[index] ?? start, incoming);
    const output = g.scope('recomputed', () => block(parts, index, input));
    incoming = backward(String(index), { value: output, gradient: incoming }, input, index + 1);
  }
  if ((segments.get('embeddings') ?? []).length > 0)
    backward('embeddings', { value: start, gradient: incoming }, null, 1);
  return { loss, gradients };
};

interface Seed {
  readonly value: Value;
  readonly gradient: Value;
}

/** The same numbers as a value that no gradient passes; with a tie, one that isn't there before the tie is. */
const detached = (g: GraphBuilder, x: Value, tie: Value | null): Value => {
  const [copy] = g.composite(
    'detached',
    [],
    () => {
      if (tie === null) return [g.identity(x)] as const;
      const corner = g.slice(g.slice(tie, 0, 0, 1), 1, 0, 1);
      return [g.add(x, g.mul(corner, 0))] as const;
    },
    () => [],
  );
  return copy;
};

/** Names of trainables by the part of the model that uses them; a tied embedding is used by two. */
const segmentsOf = (
  { config }: TransformerParts,
  values: ReadonlyMap<string, Value>,
): ReadonlyMap<string, readonly string[]> => {
  const modules = modelModules(config.modelType);
  const first = [modules.embeddings, modules.positions].map((module) => `${module}.weight`);
  const headWeight = `${headModule(config)}.weight`;
  const segments = new Map<string, string[]>();
  const add = (segment: string, name: string): void => {
    segments.set(segment, [...(segments.get(segment) ?? []), name]);
  };
  for (const name of values.keys()) {
    const layer = /\.(?:layers|h)\.(\d+)\./.exec(name)?.[1];
    const weight = name.replace(/^base_model\.model\./, '');
    if (layer !== undefined) add(layer, name);
    else if (first.includes(weight)) add('embeddings', name);
    if (layer === undefined && (weight === headWeight || !first.includes(weight)))
      add('head', name);
  }
  return segments;
};
