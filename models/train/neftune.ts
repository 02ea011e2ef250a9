// NEFTune (Jain et al. 2023, https://arxiv.org/abs/2310.05914): uniform noise on the embeddings while training, of
// size alpha / sqrt(length * D) with the length of the row the token is in.

import { stream } from '../../random/threefry.ts';
import type { MicroBatch } from './batches.ts';

/** [tokens of the layout, hiddenSize]; named by seed and position like every other random number of a run. */
export const neftuneNoise = (
  batch: MicroBatch,
  hiddenSize: number,
  alpha: number,
  seed: number,
  ...indices: readonly number[]
): Float32Array => {
  const noise = new Float32Array(batch.ids.length * hiddenSize);
  stream(seed, 'neftune', ...indices).fillUniform(noise, -1, 1);
  const lengths = new Map<number, number>();
  for (const segment of batch.segments) lengths.set(segment, (lengths.get(segment) ?? 0) + 1);
  for (const [token, segment] of batch.segments.entries()) {
    const size = segment < 0 ? 0 : alpha / Math.sqrt((lengths.get(segment) ?? 1) * hiddenSize);
    const own = noise.subarray(token * hiddenSize, (token + 1) * hiddenSize);
    for (let i = 0; i < own.length; i++) own[i] = (own[i] ?? 0) * size;
  }
  return noise;
};
