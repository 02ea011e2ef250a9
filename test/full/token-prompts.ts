// A plugin step: prompts of token ids, for models without a tokenizer. Rows hold `prompt`, `completion` and `choices` as
// lists of ids, and the `answer`'s label.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineStep } from '../../engine/step.ts';
import type { DatasetRow, FormatDocument, PromptRow } from '../../schemas/artifact.ts';

interface TokenRow extends DatasetRow {
  readonly prompt: number[];
  readonly completion: number[];
  readonly choices: number[][];
  readonly answer: string;
}

export const step = defineStep({
  name: 'token-prompts',
  version: 1,
  summary: 'Token ids as prompts.',
  params: { type: 'object', additionalProperties: false, properties: {} },
  inputs: { rows: { kind: 'dataset' } },
  outputs: () => ({ prompts: 'prompts' }),
  weight: 'light',
  run: async (context) => {
    const rows = readFileSync(context.input('rows').file('rows.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as TokenRow);
    const prompts = rows.map((row): PromptRow => ({
      id: row.id,
      item: row.item,
      prompt_tokens: row.prompt,
      completion_tokens: row.completion,
      choices: row.choices.map((tokens, index) => {
        const label = String.fromCharCode(65 + index);
        return { label, text: ` ${label}`, tokens };
      }),
      answer: row.answer,
      references: [row.answer],
    }));
    const format: FormatDocument = {
      template: 'token ids',
      digest: 'token-prompts',
      special_tokens_in_text: true,
      append_eos: true,
      chat: null,
      count: prompts.length,
      dropped: [],
    };
    const { folder } = context.output('prompts');
    const lines = prompts.map((row) => `${JSON.stringify(row)}\n`).join('');
    writeFileSync(join(folder, 'rows.jsonl'), lines);
    writeFileSync(join(folder, 'format.json'), JSON.stringify(format));
  },
});
