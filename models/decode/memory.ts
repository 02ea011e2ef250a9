// What decoding with a model costs in memory, known from its files' headers alone. Measured by bench/load.ts.

import { loadedBytes, type WeightMode } from '../checkpoint/layout.ts';
import type { StoredTensors } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import type { AdapterFiles } from '../peft-files.ts';
import { bytesPerToken, cacheShapeOf } from './cache.ts';
import { LONGEST } from './chunks.ts';

export interface DecodingRun {
  readonly mode: WeightMode;
  /** Float32 tensors of an adapter; the runtime holds a copy. */
  readonly adapter: AdapterFiles | null;
  /** The longest row, in tokens. */
  readonly length: number;
}

/** Node, the runtime and its buffers. */
const FIXED_BYTES = 200 * 2 ** 20;

/** For one row; more rows at once are taken as memory allows (batch_tokens). */
export const estimateDecodingMemory = (
  config: ModelConfig,
  tensors: StoredTensors,
  { mode, adapter, length }: DecodingRun,
): number => {
  const weights = [...tensors.values()].reduce((sum, each) => sum + loadedBytes(each, mode), 0);
  const factors = [...(adapter?.tensors.values() ?? [])].reduce(
    (sum, { data }) => sum + 2 * data.byteLength,
    0,
  );
  const rows = Math.min(length, LONGEST);
  const scores = config.attention.heads * rows * (length + rows);
  const activations = 4 * (4 * scores + 8 * rows * Math.max(config.mlp.size, config.hiddenSize));
  return (
    FIXED_BYTES +
    weights +
    factors +
    2 * length * bytesPerToken(cacheShapeOf(config, 'float32')) +
    activations
  );
};
