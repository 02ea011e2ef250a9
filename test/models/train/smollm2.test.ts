// The real SmolLM2-135M (GGUF, Q4_1): mean loss of texts as transformers gives it on the same weights.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCheckpoint } from '../../../models/checkpoint/checkpoint.ts';
import { configFromGguf } from '../../../models/checkpoint/gguf-config.ts';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import { aliasesOf } from '../../../models/checkpoint/inventory.ts';
import { openWeights, type WeightMode } from '../../../models/checkpoint/layout.ts';
import { modelConfig } from '../../../models/config.ts';
import { tokenizerFromGguf } from '../../../models/tokenizer/gguf-tokenizer.ts';
import { hfTokenizer } from '../../../models/tokenizer/hf-tokenizer.ts';
import { createRunner } from '../../../models/train/runner.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { rowOf } from '../golden-model.ts';

const file = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
const skip = skipUnlessShared(file, 'goldens/smollm2/loss.json');

interface Golden {
  readonly passages: readonly {
    readonly text: string;
    readonly tokens: number;
    readonly nll: number;
  }[];
}

const derived = mkdtempSync(join(tmpdir(), 'mesa-test-smollm2-'));
after(() => {
  rmSync(derived, { recursive: true, force: true });
});

const losses = async (
  mode: WeightMode,
  texts: readonly (readonly number[])[],
): Promise<number[]> => {
  const path = sharedPath(file);
  const gguf = readGgufHeader(path);
  const json = configFromGguf(gguf);
  const config = modelConfig(json);
  const files = [{ name: 'model.gguf', path }];
  const tensors = openCheckpoint({ format: 'gguf', files, index: null }, json);
  const digests = [createHash('sha256').update(readFileSync(path)).digest('hex')];
  const weights = openWeights({ tensors, aliases: aliasesOf(config), digests }, mode, derived);
  const runner = await createRunner(
    {
      config,
      weights,
      trainables: [],
      adapter: null,
      gradients: false,
      recompute: false,
      noiseAlpha: 0,
    },
    new Float32Array(),
    2,
  );
  const found: number[] = [];
  for (const text of texts) found.push(await runner.run([rowOf(text)], null, null));
  await runner.release();
  return found;
};

test('losses of texts, with unpacked and with packed weights', { skip }, async () => {
  const { passages } = readSharedJson<Golden>('goldens/smollm2/loss.json');
  const { json, config } = tokenizerFromGguf(readGgufHeader(sharedPath(file)));
  const tokenizer = hfTokenizer({ json, config, eosTokenIds: [], chatTemplate: null });
  const texts = passages.map(({ text }) => tokenizer.encode(text, { addSpecialTokens: false }));
  assert.deepEqual(
    texts.map(({ length }) => length),
    passages.map(({ tokens }) => tokens),
  );
  for (const mode of ['float32', 'packed'] as const) {
    const found = await losses(mode, texts);
    for (const [index, { nll }] of passages.entries()) {
      const difference = Math.abs((found[index] ?? NaN) - nll) / nll;
      assert.ok(difference < 1e-4, `${mode}, passage ${index}: ${found[index]}, expected ${nll}`);
    }
  }
});
