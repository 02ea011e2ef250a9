// Tiny models of the goldens, ready to decode.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { openCheckpoint } from '../../../models/checkpoint/checkpoint.ts';
import { configFromGguf } from '../../../models/checkpoint/gguf-config.ts';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import { openWeights, type WeightMode } from '../../../models/checkpoint/layout.ts';
import { modelConfig } from '../../../models/config.ts';
import type { Head } from '../../../models/decode/graph.ts';
import { loadRunner, type DecoderOptions } from '../../../models/decode/load.ts';
import { createRunner, type Runner } from '../../../models/decode/runner.ts';
import { storedLinears, type Linears } from '../../../models/linear.ts';
import { ModelTensors } from '../../../models/tensors.ts';
import { SessionError, type Device } from '../../../tensor/session.ts';
import { sharedPath } from '../../shared.ts';
import { openGolden, type GoldenModel } from '../golden-model.ts';

const derived = mkdtempSync(join(tmpdir(), 'mesa-decode-'));
after(() => {
  rmSync(derived, { recursive: true, force: true });
});

/** `goldens/...`: a folder in the Hugging Face layout, or a GGUF file. Quantised weights stay packed. */
export const openTiny = (path: string, mode: WeightMode = 'packed'): GoldenModel => {
  if (!path.endsWith('.gguf')) return openGolden(sharedPath(path), { mode });
  const file = sharedPath(path);
  const json = configFromGguf(readGgufHeader(file));
  const tensors = openCheckpoint(
    { format: 'gguf', files: [{ name: 'model.gguf', path: file }], index: null },
    json,
  );
  const digest = createHash('sha256').update(readFileSync(file)).digest('hex');
  const weights = openWeights({ tensors, aliases: new Map(), digests: [digest] }, mode, derived);
  return { config: modelConfig(json), weights };
};

/** In half precision, every input of a linear layer times `factor`. */
export const scaledRunner = (
  { config, weights }: GoldenModel,
  factor: number,
  device: Device,
): Promise<Runner> =>
  createRunner({
    config,
    head: 'logits',
    compute: 'float16',
    device,
    maxLength: 8,
    longest: 8,
    threads: 1,
    leastRows: 1,
    splitsFreely: false,
    model: (g) => {
      const tensors = new ModelTensors(g, weights, new Map(), 'float16');
      const stored = storedLinears(tensors, { activations: 'plain' });
      const linears: Linears = {
        apply: (name, x) => stored.apply(name, g.mul(x, factor)),
        applyAll: (names, x) => stored.applyAll(names, g.mul(x, factor)),
        applyJoined: (names, x) => stored.applyJoined(names, g.mul(x, factor)),
      };
      return { tensors, linears };
    },
  });

export const isOverflow = (error: unknown): boolean =>
  error instanceof SessionError && error.code === 'overflow';

export const tinyRunner = (
  { config, weights }: GoldenModel,
  head: Head,
  options: Partial<Pick<DecoderOptions, 'threads' | 'activations' | 'maxLength' | 'parts'>> = {},
): Promise<Runner> =>
  loadRunner({
    config,
    weights,
    adapter: null,
    head,
    activations: 'float',
    maxLength: 1024,
    threads: 2,
    ...options,
  });
