// Opens the tiny checkpoints of the goldens and runs them: what the parity tests of transformer, LoRA and training share.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { slotAttention, slotInputs } from '../../models/attention.ts';
import { openCheckpoint } from '../../models/checkpoint/checkpoint.ts';
import type { WeightMode } from '../../models/checkpoint/layout.ts';
import { openWeights } from '../../models/checkpoint/layout.ts';
import type { ConfigJson } from '../../models/config-json.ts';
import type { ModelConfig } from '../../models/config.ts';
import { modelConfig } from '../../models/config.ts';
import type { Linears } from '../../models/linear.ts';
import { storedLinears } from '../../models/linear.ts';
import type { NamedTensor } from '../../models/peft-files.ts';
import { slotFeeds } from '../../models/slot-feeds.ts';
import { ModelTensors } from '../../models/tensors.ts';
import type { MicroBatch, TrainingRow } from '../../models/train/batches.ts';
import { layOut } from '../../models/train/batches.ts';
import { finalNorm, headLogits, hiddenStates } from '../../models/transformer.ts';
import type { WeightSource } from '../../models/weights.ts';
import { GraphBuilder } from '../../tensor/builder.ts';
import type { Value } from '../../tensor/graph.ts';
import { createSession } from '../../tensor/session.ts';
import { scratchFolder } from '../scratch.ts';

export interface GoldenModel {
  readonly config: ModelConfig;
  readonly weights: WeightSource;
}

const derived = scratchFolder('test-derived');

export const readJson = <T>(path: string): T => JSON.parse(readFileSync(path, 'utf8')) as T;

export const openGolden = (
  folder: string,
  options: { readonly configFile?: string; readonly mode?: WeightMode } = {},
): GoldenModel => {
  const json = readJson<ConfigJson>(join(folder, options.configFile ?? 'config.json'));
  const names = readdirSync(folder).filter((name) => /^model.*\.safetensors$/.test(name));
  const index = join(folder, 'model.safetensors.index.json');
  const files = names.map((name) => ({ name, path: join(folder, name) }));
  const tensors = openCheckpoint(
    { format: 'safetensors', files, index: existsSync(index) ? index : null },
    json,
  );
  const digests = files.map(({ path }) =>
    createHash('sha256').update(readFileSync(path)).digest('hex'),
  );
  const weights = openWeights(
    { tensors, aliases: new Map(), digests },
    options.mode ?? 'float32',
    derived,
  );
  return { config: modelConfig(json), weights };
};

export const rowOf = (tokens: readonly number[], labelsFrom = 0): TrainingRow => ({
  id: '',
  tokens,
  labelsFrom,
});

export interface ForwardResult {
  readonly batch: MicroBatch;
  /** `logits` [tokens of the layout, vocab], `final` and every hidden state [.., D], by name. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** What takes the place of stored weights, and what wraps the linear layers. */
export interface ForwardOptions {
  readonly initializers?: ReadonlyMap<string, NamedTensor>;
  readonly substitutes?: (values: ReadonlyMap<string, Value>) => ReadonlyMap<string, Value>;
  readonly wrap?: (
    linears: Linears,
    tensors: ModelTensors,
    values: ReadonlyMap<string, Value>,
  ) => Linears;
  /** See layOut; small values give every row a slot of its own. */
  readonly attentionLength?: number;
}

/** Runs rows through the model, laid out as training lays them out. */
export const forward = async (
  { config, weights }: GoldenModel,
  rows: readonly (readonly number[])[],
  { initializers = new Map(), substitutes, wrap, attentionLength = 1000 }: ForwardOptions = {},
): Promise<ForwardResult> => {
  const g = new GraphBuilder();
  const values = new Map(
    [...initializers.values()].map(({ name, shape }) => [
      name,
      g.initializer(name, 'float32', shape),
    ]),
  );
  const tensors = new ModelTensors(g, weights, substitutes?.(values) ?? new Map());
  const inputs = slotInputs(g, config);
  const ids = g.input('ids', 'int32', ['S*L']);
  const stored = storedLinears(tensors, { activations: 'plain' });
  const parts = {
    config,
    tensors,
    linears: wrap === undefined ? stored : wrap(stored, tensors, values),
    attention: slotAttention(g, config, inputs),
    onHidden: g.output.bind(g),
  };
  const hidden = hiddenStates(parts, ids, g.reshape(inputs.positions, ['S*L']));
  const final = finalNorm(parts, hidden);
  g.output('final', final);
  g.output('logits', headLogits(parts, final));
  const session = await createSession(g.build(), {
    threads: 1,
    initializers: Object.fromEntries(
      [...initializers.values()].map(({ name, data }) => [name, data]),
    ),
  });
  const batch = layOut(
    rows.map((row) => rowOf(row)),
    attentionLength,
  );
  const results = await session.run({
    ids: { data: batch.ids, shape: [batch.ids.length] },
    ...slotFeeds(config, batch),
  });
  await session.release();
  return {
    batch,
    values: new Map(
      Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]),
    ),
  };
};

/** The values of one row, in its order. */
export const rowValues = (
  { batch }: ForwardResult,
  values: Float32Array,
  row: number,
): Float32Array => {
  const width = values.length / batch.ids.length;
  const first = batch.segments.indexOf(row);
  const count = batch.segments.filter((segment) => segment === row).length;
  return values.subarray(first * width, (first + count) * width);
};

/** Largest difference relative to the largest expected value. */
export const relativeDifference = (actual: Float32Array, expected: Float32Array): number => {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let size = 0;
  for (const [i, value] of expected.entries()) {
    difference = Math.max(difference, Math.abs(value - (actual[i] ?? NaN)));
    size = Math.max(size, Math.abs(value));
  }
  return Number.isNaN(difference) ? Infinity : difference / Math.max(size, 1e-12);
};
