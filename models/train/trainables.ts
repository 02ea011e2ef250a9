// What a run trains: the tensors of an adapter, or every weight of the model. They lie one after the other in a flat
// array, which is what the optimiser, the checkpoint and the accumulation of gradients work on.

import { headModule } from '../modules.ts';
import type { ModelConfig } from '../config.ts';
import type { FittedAdapter } from '../linear-lora.ts';
import { initialA, initialB } from '../lora.ts';
import type { NamedTensor } from '../peft-files.ts';
import type { WeightSource } from '../weights.ts';
import type { ParameterRange } from './optimizer.ts';

export interface Trainable extends ParameterRange {
  /** As in the files that are written: of the adapter, or of the model. */
  readonly name: string;
  readonly shape: readonly number[];
}

/** Trainer decays everything but biases and norms (get_decay_parameter_names). */
const undecayed = /bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm|(?:^|\.)ln_/i;

const laidOut = (
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
): readonly Trainable[] => {
  let offset = 0;
  return tensors.map(({ name, shape }) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const trainable = { name, shape, offset, length, decay: !undecayed.test(name) };
    offset += length;
    return trainable;
  });
};

export const adapterTrainables = (adapter: FittedAdapter): readonly Trainable[] =>
  laidOut(adapter.tensors);

/** Every weight of the model; a head that is the embedding matrix is trained as that. */
export const modelTrainables = (
  config: ModelConfig,
  weights: WeightSource,
): readonly Trainable[] => {
  const tied = config.tied ? new Set(['lm_head.weight', 'output_projection.weight']) : new Set();
  const head = `${headModule(config)}.weight`;
  return laidOut(
    weights.names
      .filter((name) => name === head || !tied.has(name))
      .map((name) => ({ name, shape: weights.get(name)?.shape ?? [] })),
  );
};

export const totalLength = (trainables: readonly Trainable[]): number =>
  trainables.reduce((sum, { length }) => sum + length, 0);

/** Where one tensor lies in a flat array. */
export const viewOf = (flat: Float32Array, { offset, length }: Trainable): Float32Array =>
  flat.subarray(offset, offset + length);

export const namedTensors = (
  trainables: readonly Trainable[],
  flat: Float32Array,
): readonly NamedTensor[] =>
  trainables.map((trainable) => ({
    name: trainable.name,
    shape: trainable.shape,
    data: viewOf(flat, trainable),
  }));

/** Starting values of an adapter: PEFT's initialisation, or those of an adapter to go on with. */
export const initialAdapter = (
  adapter: FittedAdapter,
  trainables: readonly Trainable[],
  weights: WeightSource,
  seed: number,
): Float32Array => {
  const flat = new Float32Array(totalLength(trainables));
  for (const [index, trainable] of trainables.entries()) {
    const tensor = adapter.tensors[index];
    if (tensor?.name !== trainable.name) throw new Error('trainables of another adapter');
    viewOf(flat, trainable).set(initialValues(adapter, tensor, weights, seed));
  }
  return flat;
};

const initialValues = (
  adapter: FittedAdapter,
  { role, module, shape }: FittedAdapter['tensors'][number],
  weights: WeightSource,
  seed: number,
): Float32Array => {
  const [first = 0, second = 0] = shape;
  const target = adapter.targets.get(module);
  if (role === 'saved') return weights.read(`${module}.weight`);
  if (target === undefined) throw new Error(`${module} isn't adapted`);
  if (role === 'A') return initialA(adapter.config, target, second, seed);
  if (role === 'B') return initialB(adapter.config, target, first, seed);
  // DoRA starts from the rows' own norms (B is 0).
  const weight = weights.read(`${module}.weight`);
  const columns = weight.length / first;
  return Float32Array.from({ length: first }, (_, row) =>
    Math.sqrt(
      weight
        .subarray(row * columns, (row + 1) * columns)
        .reduce((sum, value) => sum + value * value, 0),
    ),
  );
};

/** The weights as they are stored: what full training starts from. */
export const storedValues = (
  trainables: readonly Trainable[],
  weights: WeightSource,
): Float32Array => {
  const flat = new Float32Array(totalLength(trainables));
  for (const trainable of trainables) viewOf(flat, trainable).set(weights.read(trainable.name));
  return flat;
};

export const fromTensors = (
  trainables: readonly Trainable[],
  tensors: ReadonlyMap<string, NamedTensor>,
): Float32Array => {
  const flat = new Float32Array(totalLength(trainables));
  for (const trainable of trainables) {
    const tensor = tensors.get(trainable.name);
    if (tensor?.data.length !== trainable.length)
      throw new Error(`${trainable.name} is missing or has another size`);
    viewOf(flat, trainable).set(tensor.data);
  }
  return flat;
};
