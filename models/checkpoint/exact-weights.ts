// Packed weights for exact products: 4-bit weights stay packed, 8-bit ones become float32. The runtime's exact product
// with 8 bits unpacks all of them in every run, at a tenth of the speed of 4 bits (105 ms a run for the head of
// SmolLM2-135M alone). What is unpacked is a derived file of its own, beside that of the packed weights.

import type { Weight, WeightSource } from '../weights.ts';
import { openWeights, type WeightsInput } from './layout.ts';

/** Unpacked floats at most. A number of the model, not of the machine: bits depend on it. */
const UNPACKED_BYTES = 2 ** 30;

export const openExactWeights = (input: WeightsInput, derivedFolder: string): WeightSource => {
  const packed = openWeights(input, 'packed', derivedFolder);
  const chosen = unpackedNames([...input.tensors.keys()], packed);
  if (chosen.size === 0) return packed;
  const floats = openWeights(
    {
      tensors: new Map([...input.tensors].filter(([name]) => chosen.has(name))),
      aliases: new Map([...input.aliases].filter(([, name]) => chosen.has(name))),
      digests: input.digests,
    },
    'float32',
    derivedFolder,
  );
  return {
    names: packed.names,
    get: (name) => floats.get(name) ?? packed.get(name),
    read: (name) => packed.read(name),
  };
};

/** 8-bit weights, the largest first (the head, where it is one), as long as they fit. */
const unpackedNames = (names: readonly string[], weights: WeightSource): ReadonlySet<string> => {
  const eightBit = names.flatMap((name) => {
    const weight = weights.get(name);
    return weight !== undefined && isEightBit(weight)
      ? [{ name, bytes: weight.shape[0] * weight.shape[1] * Float32Array.BYTES_PER_ELEMENT }]
      : [];
  });
  eightBit.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
  let room = UNPACKED_BYTES;
  const chosen = new Set<string>();
  for (const { name, bytes } of eightBit) {
    if (bytes > room) continue;
    room -= bytes;
    chosen.add(name);
  }
  return chosen;
};

type EightBit = Extract<Weight, { kind: 'blocks' | 'int8-rows' }>;

const isEightBit = (weight: Weight): weight is EightBit =>
  weight.kind === 'int8-rows' || (weight.kind === 'blocks' && weight.bits === 8);
