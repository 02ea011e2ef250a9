// A prompt read in one run and then token by token over the cache gives the reference's logits at every position, for
// every architecture and every adapter of the goldens: a folder dropped in there is a test. In several sessions
// (tensor/parted-session.ts) a model gives the same bits as in one.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { loadRunner } from '../../../models/decode/load.ts';
import {
  adapterPaths,
  readAdapter,
  readFloatTensors,
  type AdapterFiles,
} from '../../../models/peft-files.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { relativeDifference, type GoldenModel } from '../golden-model.ts';
import { cachedLogits } from './cached-logits.ts';
import { openTiny } from './tiny-models.ts';

const tolerance = 1e-4;

const compare = async (
  { config, weights }: GoldenModel,
  adapter: AdapterFiles | null,
  sequences: readonly (readonly number[])[],
  references: ReadonlyMap<string, { readonly data: Float32Array }>,
): Promise<void> => {
  const dynamic =
    config.positions.kind === 'rope' && config.positions.rope.scaling.kind === 'dynamic';
  for (const [index, sequence] of sequences.entries()) {
    // "dynamic" scaling turns earlier keys again as a text grows, which no cache can follow: read it at once.
    const prompt = dynamic ? sequence.length : Math.ceil(sequence.length / 3);
    const logitsIn = async (parts: number): Promise<Float32Array> => {
      const runner = await loadRunner({
        config,
        weights,
        adapter,
        head: 'logits',
        activations: 'float',
        maxLength: sequence.length,
        threads: 1,
        parts,
      });
      const logits = await cachedLogits(runner, sequence, prompt);
      await runner.release();
      return logits;
    };
    const logits = await logitsIn(1);
    if (index === 0) assert.deepEqual(await logitsIn(2), logits);
    const difference = relativeDifference(
      logits,
      references.get(`seq.${index}`)?.data ?? new Float32Array(),
    );
    assert.ok(difference < tolerance, `sequence ${index} differs by ${difference}`);
  }
};

const foldersOf = (root: string, file: string): readonly string[] =>
  existsSync(sharedPath(root))
    ? readdirSync(sharedPath(root)).filter((name) =>
        existsSync(sharedPath(`${root}/${name}/${file}`)),
      )
    : ['(none)'];

const architectures = 'goldens/architectures';
for (const name of foldersOf(architectures, 'inputs.json')) {
  const folder = `${architectures}/${name}`;
  test(`${name}: logits over the cache`, { skip: skipUnlessShared(folder) }, async () => {
    const { sequences } = readSharedJson<{ sequences: number[][] }>(`${folder}/inputs.json`);
    const references = readFloatTensors(sharedPath(`${folder}/logits.safetensors`));
    await compare(openTiny(folder), null, sequences, references);
  });
}

const adapters = 'goldens/lora';
for (const name of foldersOf(adapters, 'case.json')) {
  const folder = `${adapters}/${name}`;
  test(`adapter ${name}: logits over the cache`, { skip: skipUnlessShared(folder) }, async () => {
    const { base, sequences } = readSharedJson<{ base: string; sequences: number[][] }>(
      `${folder}/case.json`,
    );
    const references = readFloatTensors(sharedPath(`${folder}/logits.safetensors`));
    const adapter = readAdapter(adapterPaths(sharedPath(`${folder}/adapter`)));
    await compare(openTiny(`${folder}/${base}`), adapter, sequences, references);
  });
}
