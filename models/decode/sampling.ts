// From a row's logits to its next token. A draw depends on (seed, row id, sequence, token index) alone, never on
// neighbours or on what ran before, so that a row is the same alone, in any batch and after a resume.

import { createHash } from 'node:crypto';
import { stream, type RandomStream } from '../../random/threefry.ts';
import type { Decoding } from './parameters.ts';
import {
  applyTemperature,
  blockRepeatedNgrams,
  forbid,
  keepMinP,
  keepTopK,
  keepTopP,
  penalizeRepetition,
  weigh,
  type TokenHistory,
} from './warpers.ts';

/** The row's own random numbers: the n-th is used for its n-th token. `sequence` counts answers to one prompt. */
export const rowStream = (seed: number, rowId: string, sequence: number): RandomStream => {
  const digest = createHash('sha256').update(rowId, 'utf8').digest();
  return stream(seed, 'sample', digest.readUIntBE(0, 6), digest.readUIntBE(6, 6), sequence);
};

/** Index of the highest value, the first of equals. */
export const argmax = (logits: Float32Array): number => {
  let best = -Infinity;
  let at = 0;
  for (let index = 0; index < logits.length; index += 1) {
    const value = logits[index] ?? -Infinity;
    if (value > best) {
      best = value;
      at = index;
    }
  }
  return at;
};

export interface Sampler {
  /** Chooses from a row's logits, which it overwrites. `made`: how many tokens the row has made so far. */
  next(logits: Float32Array, history: TokenHistory, made: number, random: RandomStream): number;
}

export const sampler = (decoding: Decoding, vocabulary: number): Sampler => {
  const weights = new Float64Array(decoding.temperature > 0 ? vocabulary : 0);
  return {
    next: (logits, history, made, random) => {
      process(logits, history, made, decoding);
      if (decoding.temperature === 0) return argmax(logits);
      warp(logits, decoding, weights);
      return draw(logits, weights, random.uniform());
    },
  };
};

/** What applies to greedy search too. */
export const process = (
  logits: Float32Array,
  history: TokenHistory,
  made: number,
  decoding: Decoding,
): void => {
  if (decoding.repetitionPenalty !== 1) {
    penalizeRepetition(logits, history, decoding.repetitionPenalty);
  }
  if (decoding.noRepeatNgramSize > 0) {
    blockRepeatedNgrams(logits, history, decoding.noRepeatNgramSize);
  }
  if (made < decoding.minNewTokens) forbid(logits, decoding.endTokens);
};

export const warp = (logits: Float32Array, decoding: Decoding, weights: Float64Array): void => {
  if (decoding.temperature !== 1) applyTemperature(logits, decoding.temperature);
  if (decoding.topK > 0) keepTopK(logits, decoding.topK);
  if (decoding.topP < 1) keepTopP(logits, decoding.topP, weights);
  if (decoding.minP > 0) keepMinP(logits, decoding.minP);
};

/** The token at which the cumulative probability passes u, in the order of ids. */
const draw = (logits: Float32Array, weights: Float64Array, u: number): number => {
  const threshold = u * weigh(logits, weights);
  let sum = 0;
  let last = 0;
  for (let index = 0; index < logits.length; index += 1) {
    const weight = weights[index] ?? 0;
    if (weight === 0) continue;
    sum += weight;
    last = index;
    if (sum > threshold) break;
  }
  return last;
};
