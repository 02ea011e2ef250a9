// Runs micro-batches through the training graph: feeds in, loss out, gradients added to a flat array.

import type { Feed, Feeds, Session } from '../../tensor/session.ts';
import { createSession } from '../../tensor/session.ts';
import type { ModelConfig } from '../config.ts';
import { slotFeeds } from '../slot-feeds.ts';
import type { MicroBatch, TrainingRow } from './batches.ts';
import { layOut } from './batches.ts';
import { fillKeepMask } from './dropout.ts';
import type { TrainingGraphOptions } from './graph.ts';
import { gradientName, maskName, trainingGraph } from './graph.ts';
import { attentionLength, prepacked } from './memory.ts';
import { neftuneNoise } from './neftune.ts';
import { steadiness } from './steady.ts';
import type { Trainable } from './trainables.ts';
import { viewOf } from './trainables.ts';

export interface Runner {
  /**
   * Sum of -log p over the labels of `rows`; their gradients are added to `into`. `random` names masks and noise:
   * the same numbers give the same ones, whatever ran before.
   */
  run(
    rows: readonly TrainingRow[],
    into: Float32Array | null,
    random: RandomKey | null,
  ): Promise<number>;
  release(): Promise<void>;
}

export interface RandomKey {
  readonly seed: number;
  /** Optimiser step (0-based) and micro-batch within it. */
  readonly step: number;
  readonly micro: number;
}

export const createRunner = async (
  options: TrainingGraphOptions,
  parameters: Float32Array,
  threads: number,
): Promise<Runner> => {
  const { config, trainables, weights } = options;
  const graph = trainingGraph(options);
  // Validation shares the mapped pages of training instead of packing a copy of its own.
  const prepack = options.gradients && !options.recompute && prepacked(config, weights);
  const steady = steadiness(graph, prepack, threads);
  const session = await createSession(graph, {
    threads: steady.threads,
    // It would find what the backward pass computes again equal to what the forward pass computed, and keep that.
    disabledOptimizers: ['CommonSubexpressionElimination'],
    prepack,
  });
  const parameterFeeds: Record<string, Feed> = Object.fromEntries(
    trainables.map((trainable) => [
      trainable.name,
      { data: viewOf(parameters, trainable), shape: trainable.shape },
    ]),
  );
  const masks = dropoutMasks(options);
  return {
    async run(rows, into, random) {
      const batch = layOut(rows, attentionLength(config), steady.slotsFor);
      if (batch.labels.length === 0) return 0;
      const feeds: Feeds = {
        ...batchFeeds(config, batch),
        ...parameterFeeds,
        ...(options.gradients && random !== null
          ? { ...masks(batch, random), ...noiseFeed(options, batch, random) }
          : {}),
      };
      return collect(session, feeds, trainables, into);
    },
    release: () => session.release(),
  };
};

const batchFeeds = (config: ModelConfig, batch: MicroBatch): Record<string, Feed> => {
  const { ids, predictAt, labels } = batch;
  return {
    ...slotFeeds(config, batch),
    ids: { data: ids, shape: [ids.length] },
    predict_at: { data: predictAt, shape: [predictAt.length] },
    labels: { data: BigInt64Array.from(labels, BigInt), shape: [labels.length, 1] },
  };
};

/** One mask for each adapted module: PEFT drops independently in each. Their memory is used again in every run. */
const dropoutMasks = ({
  adapter,
  weights,
}: TrainingGraphOptions): ((batch: MicroBatch, key: RandomKey) => Record<string, Feed>) => {
  const p = adapter?.config.lora_dropout ?? 0;
  const buffers = new Map<string, Uint8Array>();
  return (batch, key) => {
    if (adapter === null || p === 0) return {};
    const { seed, step, micro } = key;
    const feeds: Record<string, Feed> = {};
    for (const [index, module] of [...adapter.targets.keys()].entries()) {
      const inputs = weights.get(`${module}.weight`)?.shape[1] ?? 0;
      const count = batch.ids.length * inputs;
      let buffer = buffers.get(module);
      if (buffer === undefined || buffer.length < count) {
        buffer = new Uint8Array(count);
        buffers.set(module, buffer);
      }
      const data = fillKeepMask(buffer.subarray(0, count), p, seed, step, micro, index);
      feeds[maskName(module)] = { data, shape: [batch.ids.length, inputs] };
    }
    return feeds;
  };
};

const noiseFeed = (
  { config, noiseAlpha }: TrainingGraphOptions,
  batch: MicroBatch,
  { seed, step, micro }: RandomKey,
): Record<string, Feed> => {
  if (noiseAlpha === 0) return {};
  const { hiddenSize } = config;
  const data = neftuneNoise(batch, hiddenSize, noiseAlpha, seed, step, micro);
  return { noise: { data, shape: [batch.ids.length, hiddenSize] } };
};

const collect = async (
  session: Session,
  feeds: Feeds,
  trainables: readonly Trainable[],
  into: Float32Array | null,
): Promise<number> => {
  const results = await session.run(feeds);
  if (into !== null) {
    for (const trainable of trainables) {
      const gradient = results[gradientName(trainable.name)]?.data;
      if (!(gradient instanceof Float32Array)) throw new Error(`no gradient of ${trainable.name}`);
      addTo(viewOf(into, trainable), gradient);
    }
  }
  return Number(results['loss']?.data[0] ?? NaN);
};

const addTo = (sum: Float32Array, values: Float32Array): void => {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (values[i] ?? 0);
};
