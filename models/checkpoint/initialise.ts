// A checkpoint of random weights: Hugging Face's _init_weights with MESA's own generator, so that a seed and a config
// name the same bytes everywhere. Each tensor has its own stream: neither order nor other tensors matter.

import { stream } from '../../random/threefry.ts';
import type { ModelConfig } from '../config.ts';
import { expectedTensors } from './inventory.ts';
import { fromHubName } from './names.ts';
import { bytesOf, writeSafetensors, type SafetensorsEntry } from './safetensors.ts';
import { countOf } from './stored.ts';
import type { JsonRecord } from './json.ts';

/** Values in memory at once. */
const PIECE = 1 << 20;

/** Bytes of the weights that writeRandomCheckpoint writes. */
export const randomCheckpointBytes = (config: ModelConfig): number =>
  4 * [...expectedTensors(config).values()].reduce((sum, { shape }) => sum + countOf(shape), 0);

export const writeRandomCheckpoint = (
  path: string,
  json: JsonRecord,
  config: ModelConfig,
  seed: number,
): void => {
  const range = json['initializer_range'];
  const deviation = typeof range === 'number' ? range : 0.02;
  const entries = [...expectedTensors(config)].map(
    ([name, { shape, initial }]): SafetensorsEntry => {
      const transposed = fromHubName(config.modelType, name)?.arrangement.kind === 'transposed';
      return {
        name,
        dtype: 'F32',
        shape: transposed ? [...shape].reverse() : shape,
        *chunks() {
          const source = stream(seed, `init:${name}`);
          let left = countOf(shape);
          while (left > 0) {
            const values = new Float32Array(Math.min(left, PIECE));
            if (initial === 'normal')
              source.fillNormal(values, 0, deviation * residual(name, config));
            else values.fill(initial === 'ones' ? 1 : 0);
            yield bytesOf(values);
            left -= values.length;
          }
        },
      };
    },
  );
  writeSafetensors(path, entries, { format: 'pt' });
};

/** GPT-2 starts what is added to the residual stream smaller, by the number of such additions. */
const residual = (name: string, config: ModelConfig): number =>
  config.modelType === 'gpt2' && name.endsWith('.c_proj.weight')
    ? 1 / Math.sqrt(2 * config.layers)
    : 1;
