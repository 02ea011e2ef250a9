// The same ids and texts as @huggingface/transformers' own tokenizers, on folders that both can read.

import { AutoTokenizer, env } from '@huggingface/transformers';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { loadTokenizer } from '../../../models/tokenizer/load.ts';
import { projectRoot, sharedPath, skipUnlessShared } from '../../shared.ts';

const texts = [
  'Which kind of drug is captopril?',
  ' two  spaces\nand a line',
  'BP 120/80 mmHg, 37.5°C, 5 µg — naïve café',
  '心電図 🫀 γ-GTP',
];

const folders: readonly (readonly [name: string, folder: string, skip: string | false])[] = [
  ['the quickstart model', join(projectRoot, 'experiments/models/tiny'), false],
  ['phi3', sharedPath('tokenizers/phi3'), skipUnlessShared('tokenizers/phi3')],
];

for (const [name, folder, skip] of folders) {
  test(`${name}: ids and decoded texts equal those of transformers.js`, { skip }, async () => {
    env.allowRemoteModels = false;
    env.localModelPath = dirname(folder);
    const theirs = await AutoTokenizer.from_pretrained(folder.slice(dirname(folder).length + 1), {
      local_files_only: true,
    });
    const ours = await loadTokenizer({
      file: (file) => (existsSync(join(folder, file)) ? join(folder, file) : undefined),
      modelType: 'llama',
      modelEos: undefined,
      chatTemplate: null,
    });
    for (const text of texts) {
      for (const special of [false, true]) {
        const ids = ours.encode(text, { addSpecialTokens: special });
        assert.deepEqual(ids, theirs.encode(text, { add_special_tokens: special }), text);
        assert.equal(
          ours.decode(ids, { skipSpecialTokens: true }),
          theirs.decode(ids, { skip_special_tokens: true }),
          text,
        );
      }
    }
  });
}
