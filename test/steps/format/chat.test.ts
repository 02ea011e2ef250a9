// Prompts in a model's chat template, and prompts within a number of tokens: with SmolLM2's own template and tokenizer
// (GGUF), with templates of other makes, and with the tiny model of the quickstart.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { InputArtifact } from '../../../engine/step.ts';
import { openModel } from '../../../models/model.ts';
import type { FormatDocument, PromptRow } from '../../../schemas/artifact.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { format } from '../../../steps/format/step.ts';
import { loadDataset } from '../../../steps/load-dataset/step.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { projectRoot, readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { documentOf, rowsOf } from '../artifacts.ts';
import { runStep } from '../context.ts';

const GGUF = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
const skip = skipUnlessShared(GGUF, 'goldens/smollm2');

const modelAt = async (path: string, more: JsonObject = {}): Promise<InputArtifact> =>
  (await runStep(loadModel, { params: { source: 'path', path, ...more } })).output(
    'model',
    'model',
  );
const tiny = (): Promise<InputArtifact> => modelAt(join(projectRoot, 'experiments/models/tiny'));

const formatted = async (
  rows: JsonObject[],
  params: JsonObject,
  model: InputArtifact,
): Promise<{ rows: PromptRow[]; document: FormatDocument }> => {
  const loaded = await runStep(loadDataset, { params: { rows } });
  const run = await runStep(format, {
    params,
    inputs: { rows: loaded.output('rows', 'dataset'), model },
  });
  const output = run.output('prompts', 'prompts');
  return { rows: rowsOf<PromptRow>(output), document: documentOf(output, 'format.json') };
};

interface ChatCase {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly 'add_generation_prompt=true': { readonly text: string; readonly ids: readonly number[] };
}

test(
  "SmolLM2: transformers' text and ids; the answer ends with the end of the turn",
  { skip },
  async () => {
    const model = await modelAt(sharedPath(GGUF));
    const tokenizer = await openModel(model).tokenizer();
    const cases = readSharedJson<{ cases: ChatCase[] }>('goldens/smollm2/chat.json').cases.filter(
      ({ messages }) => messages.at(-1)?.role === 'user',
    );
    assert.ok(cases.length >= 3);
    const rows = cases.map(({ messages }) => ({
      messages: [
        ...messages.map((message) => ({ ...message })),
        { role: 'assistant', content: 'Yes.' },
      ],
    }));
    const made = await formatted(rows, { template: 'dialogue', chat: {} }, model);
    for (const [index, expected] of cases.entries()) {
      const row = made.rows[index];
      const golden = expected['add_generation_prompt=true'];
      assert.equal(row?.prompt, golden.text);
      assert.deepEqual(tokenizer?.encode(row.prompt, { addSpecialTokens: false }), golden.ids);
      assert.equal(row.completion, 'Yes.<|im_end|>');
      assert.deepEqual(row.references, ['Yes.']);
      assert.deepEqual(row.messages, expected.messages);
    }
    assert.equal(made.document.special_tokens_in_text, true);
    assert.equal(made.document.append_eos, false);
  },
);

const ROW = { question: 'Why?', options: { A: 'one', B: 'two' }, answer_idx: 'B' };

test(
  'a question in a chat: system message, choices as they follow the prompt',
  { skip },
  async () => {
    const model = await modelAt(sharedPath(GGUF));
    const params = { template: 'mcq-letter', chat: { system: 'Be brief.' } };
    const { rows, document } = await formatted([ROW], params, model);
    assert.equal(
      rows[0]?.prompt,
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?\n\nA. one\nB. two\n\nAnswer with the letter of the correct option.<|im_end|>\n<|im_start|>assistant\n',
    );
    assert.equal(rows[0].completion, 'B<|im_end|>');
    assert.deepEqual(
      rows[0].choices?.map(({ text }) => text),
      ['A', 'B'],
    );
    assert.equal(document.chat?.system, 'Be brief.');
    const other = await formatted([ROW], { template: 'mcq-letter', chat: {} }, model);
    assert.notEqual(other.document.digest, document.digest);
  },
);

// Llama 2's manner: no mark before the answer but a space, the end token at the end.
const LLAMA2 =
  "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}";

test('another template: what it puts between prompt and answer also precedes each choice', async () => {
  const params = { template: 'mcq-letter', chat: { template: LLAMA2 } };
  const { rows, document } = await formatted([ROW], params, await tiny());
  assert.equal(rows[0]?.completion, ' B <|end|>');
  assert.deepEqual(
    rows[0].choices?.map(({ text }) => text),
    [' A', ' B'],
  );
  assert.equal(document.append_eos, false);
});

test('a template without an end of turn: the end token is appended in training', async () => {
  const template =
    '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}';
  const { rows, document } = await formatted(
    [ROW],
    { template: 'mcq-letter', chat: { template } },
    await tiny(),
  );
  assert.equal(rows[0]?.completion, 'B\n');
  assert.equal(document.append_eos, true);
});

test('a template that rewrites an answered conversation is refused', async () => {
  const template = '{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}';
  await assert.rejects(
    formatted([ROW], { template: 'mcq-letter', chat: { template } }, await tiny()),
    /writes an answered conversation differently/,
  );
  await assert.rejects(
    formatted([ROW], { template: 'mcq-letter', chat: {} }, await tiny()),
    /has no chat template/,
  );
});

test('max_length: error, drop, and cutting as little as possible', async () => {
  const model = await tiny();
  const tokenizer = await openModel(model).tokenizer();
  const count = (text: string): number => tokenizer?.encode(text).length ?? NaN;
  const words = 'the heart pumps blood through the body and the lungs bring oxygen into the blood';
  const rows = [
    { prompt: 'short', completion: ' text' },
    { prompt: words, completion: ' and the kidneys make urine' },
  ];
  const params = { template: 'completion', max_length: 20 };
  await assert.rejects(
    formatted(rows, params, model),
    /row inline:1 has \d+ tokens, max_length is 20/,
  );

  const dropped = await formatted(rows, { ...params, on_overflow: 'drop' }, model);
  assert.deepEqual(
    dropped.rows.map(({ id }) => id),
    ['inline:0'],
  );
  assert.deepEqual(dropped.document.dropped, [{ reason: 'longer than 20 tokens', count: 1 }]);

  const start = await formatted(rows, { ...params, on_overflow: 'truncate_start' }, model);
  const cut = start.rows[1];
  assert.equal(cut?.completion, ' and the kidneys make urine');
  assert.ok(words.endsWith(cut.prompt ?? 'no') && cut.prompt !== '');
  assert.ok(count(`${cut.prompt ?? ''}${cut.completion}`) + 1 <= 20);
  const longer = words.slice(words.length - (cut.prompt ?? '').length - 1);
  assert.ok(count(`${longer}${cut.completion}`) + 1 > 20);

  const end = await formatted(
    [{ text: words }],
    { ...params, max_length: 8, on_overflow: 'truncate_end' },
    model,
  );
  const kept = end.rows[0]?.completion ?? 'no';
  assert.ok(words.startsWith(kept) && count(kept) + 1 <= 8);
});
