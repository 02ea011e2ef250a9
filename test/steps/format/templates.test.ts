// Layouts, templates of MESA's own, templates in the experiment file, few-shot examples: exact texts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEMPLATE_NAMES } from '../../../datasets/prompts/templates.ts';
import { StepError, type StepDefinition } from '../../../engine/step.ts';
import type { FormatDocument, PromptRow } from '../../../schemas/artifact.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { format } from '../../../steps/format/step.ts';
import { loadDataset } from '../../../steps/load-dataset/step.ts';
import { documentOf, rowsOf } from '../artifacts.ts';
import { runStep, type StepRun } from '../context.ts';

const dataset = async (rows: JsonObject[]): Promise<ReturnType<StepRun['output']>> =>
  (await runStep(loadDataset, { params: { rows } })).output('rows', 'dataset');

interface Formatted {
  readonly rows: PromptRow[];
  readonly document: FormatDocument;
  readonly run: StepRun;
}

const formatted = async (
  rows: JsonObject[],
  params: JsonObject,
  fewshot?: JsonObject[],
): Promise<Formatted> => {
  const inputs = { rows: await dataset(rows), ...(fewshot && { fewshot: await dataset(fewshot) }) };
  const run = await runStep(format, { params, inputs });
  const output = run.output('prompts', 'prompts');
  return { rows: rowsOf<PromptRow>(output), document: documentOf(output, 'format.json'), run };
};
const one = async (row: JsonObject, params: JsonObject): Promise<PromptRow> =>
  (await formatted([row], params)).rows[0] as PromptRow;

const fails = async (rows: JsonObject[], params: JsonObject, message: RegExp): Promise<void> => {
  await assert.rejects(formatted(rows, params), (error) => {
    assert.ok(error instanceof StepError, String(error));
    assert.match(error.message, message);
    return true;
  });
};

const LISTED = 'Question: Why?\nA. one\nB. two\nC. three\nD. four\nAnswer:';
const OPTIONS = { A: 'one', B: 'two', C: 'three', D: 'four' };

/** The same question in every layout the field's datasets have. */
const LAYOUTS: Readonly<Record<string, JsonObject>> = {
  'options by letter': { question: 'Why?', options: OPTIONS, answer_idx: 'C', answer: 'three' },
  'answer as words': { question: 'Why?', options: OPTIONS, answer: 'three' },
  'GBaker/MedQA-USMLE-4-options-hf': {
    sent1: 'Why?',
    sent2: '',
    ending0: 'one',
    ending1: 'two',
    ending2: 'three',
    ending3: 'four',
    label: 2,
  },
  'openlifescienceai/medmcqa': {
    question: 'Why?',
    opa: 'one',
    opb: 'two',
    opc: 'three',
    opd: 'four',
    cop: 2,
    exp: 'Because.',
  },
  'openlifescienceai/medqa': {
    data: { Question: 'Why?', Options: OPTIONS, 'Correct Answer': 'three', 'Correct Option': 'C' },
  },
  'cais/mmlu': { question: 'Why?', choices: ['one', 'two', 'three', 'four'], answer: 2 },
  'MMLU CSV': { question: 'Why?', A: 'one', B: 'two', C: 'three', D: 'four', answer: 'C' },
};

for (const [name, row] of Object.entries(LAYOUTS)) {
  test(`layout: ${name}`, async () => {
    const prompt = await one(row, { template: 'medqa' });
    assert.equal(prompt.prompt, LISTED);
    assert.equal(prompt.completion, ' C');
    assert.equal(prompt.answer, 'C');
    assert.deepEqual(prompt.choices?.[2], { label: 'C', text: ' C', option: 'three' });
    assert.deepEqual(prompt.references, ['C']);
  });
}

test('other columns through `columns`; groups through `group`', async () => {
  const row = { stem: 'Why?', w: { x: 'one' }, y: 'two', right: 'B', kind: 3, answer_idx: 'A' };
  const prompt = await one(row, {
    template: 'mcq-letter',
    columns: { question: 'stem', A: 'w.x', B: 'y', answer: 'right' },
    group: { kind: 'kind' },
  });
  assert.equal(prompt.prompt, 'Question: Why?\nA. one\nB. two\nAnswer:');
  assert.equal(prompt.answer, 'B');
  assert.deepEqual(prompt.group, { kind: '3' });
  await fails([row], { template: 'medqa', columns: { question: 'stemm' } }, /did you mean "stem"/);
  await fails([{ x: 1 }], { template: 'medqa' }, /no question/);
});

test('answers that count from 1 are noticed, and taken where it is said', async () => {
  const row = { question: 'Why?', opa: 'one', opb: 'two', opc: 'three', opd: 'four', cop: 4 };
  await fails([row], { template: 'medmcqa' }, /count from 1/);
  const prompt = await one(row, { template: 'medmcqa', answer_base: 1 });
  assert.equal(prompt.answer, 'D');
});

test('rows without a usable answer are counted, not hidden', async () => {
  const rows = [
    { question: 'a', options: OPTIONS, answer_idx: 'E' },
    { question: 'b', options: OPTIONS, answer_idx: 'A' },
    { question: 'c', options: { A: 'x' }, answer_idx: 'A' },
    { question: 'd', options: OPTIONS, cop: -1 },
  ];
  const { rows: prompts, document } = await formatted(rows, { template: 'medqa' });
  assert.deepEqual(document.dropped, [
    { reason: 'answer is none of the options', count: 1 },
    { reason: 'fewer than two options', count: 1 },
  ]);
  // An unlabelled question can still be asked.
  assert.deepEqual(
    prompts.map(({ id, answer }) => [id, answer]),
    [
      ['inline:1', 'A'],
      ['inline:3', undefined],
    ],
  );
  await fails([rows[0] as JsonObject], { template: 'medqa' }, /no row became a prompt/);
});

const QUESTION = { question: 'Why?', options: { A: 'one', B: 'two' }, answer_idx: 'B', exp: 'So.' };

test('mcq-text and mcq-cloze answer with words', async () => {
  const text = await one(QUESTION, { template: 'mcq-text' });
  assert.equal(text.prompt, 'Question: Why?\nOptions:\n- one\n- two\nAnswer:');
  assert.equal(text.completion, ' two');
  assert.deepEqual(text.choices, [
    { label: 'A', text: ' one' },
    { label: 'B', text: ' two' },
  ]);
  const cloze = await one(QUESTION, { template: 'mcq-cloze', answer_only: false });
  assert.equal(cloze.prompt, 'Question: Why?\nAnswer:');
  assert.equal(cloze.completion, ' two\nSo.');
  assert.deepEqual(cloze.references, ['two']);
});

test('pubmedqa: layouts of the hub', async () => {
  const expected = 'Abstract: One.\nTwo.\nQuestion: Why?\nAnswer:';
  const layouts: JsonObject[] = [
    { QUESTION: 'Why?', CONTEXTS: ['One.', 'Two.'], final_decision: 'maybe' },
    { question: 'Why?', context: { contexts: ['One.', 'Two.'] }, final_decision: 'maybe' },
    { data: { Question: 'Why?', Context: ['One.', 'Two.'], 'Correct Answer': 'maybe' } },
  ];
  for (const row of layouts) {
    const prompt = await one(row, { template: 'pubmedqa' });
    assert.equal(prompt.prompt, expected);
    assert.equal(prompt.completion, ' maybe');
  }
});

test('instruction is the prompt of Alpaca', async () => {
  const plain = await one(
    { instruction: 'Do.', input: '', output: 'Done.' },
    { template: 'instruction' },
  );
  assert.equal(
    plain.prompt,
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nDo.\n\n### Response:',
  );
  assert.equal(plain.completion, '\nDone.');
  const input = await one(
    { instruction: 'Do.', input: 'It.', output: 'Done.' },
    { template: 'instruction' },
  );
  assert.match(
    input.prompt ?? '',
    /further context\..*\n\n### Instruction:\nDo\.\n\n### Input:\nIt\.\n\n### Response:$/,
  );
});

test('dialogue: messages, ShareGPT and patient with doctor', async () => {
  const expected = { prompt: 'User: Hello\nAssistant:', completion: ' Hi' };
  const layouts: JsonObject[] = [
    {
      messages: [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'Hi' },
      ],
    },
    {
      conversations: [
        { from: 'human', value: 'Hello' },
        { from: 'gpt', value: 'Hi' },
      ],
    },
    { Description: 'x', Patient: 'Hello', Doctor: 'Hi' },
  ];
  for (const row of layouts) {
    const { prompt, completion } = await one(row, { template: 'dialogue' });
    assert.deepEqual({ prompt, completion }, expected);
  }
});

test('completion: the whole text is the completion', async () => {
  const prompt = await one({ text: 'Some text.' }, { template: 'completion' });
  assert.equal(prompt.prompt, '');
  assert.equal(prompt.completion, 'Some text.');
});

test('a template in the file: every part', async () => {
  const row = { q: 'Why?', opts: ['x', 'y'], gold: 'y', meta: { exam: 'step1' }, 'odd name': 1 };
  const prompt = await one(row, {
    template: {
      prompt: 'Q: {{ q | trim }}{% for o in opts %}\n{{ loop.index }}) {{ o }}{% endfor %}\nA:',
      completion: ' {{ gold }}',
      choices: { one: ' {{ opts[0] }}', two: ' {{ opts[1] }}' },
      answer: '{{ gold }}',
      references: ['{{ gold }}', '{{ gold | upper }}'],
      group: { exam: '{{ meta.exam }}' },
    },
  });
  assert.deepEqual(
    { ...prompt, item: '' },
    {
      id: 'inline:0',
      item: '',
      prompt: 'Q: Why?\n1) x\n2) y\nA:',
      completion: ' y',
      choices: [
        { label: 'one', text: ' x' },
        { label: 'two', text: ' y' },
      ],
      answer: 'two',
      references: ['y', 'Y'],
      group: { exam: 'step1' },
    },
  );
  const json = await one(row, { template: { prompt: '{{ q }}', choices: '{{ opts | tojson }}' } });
  assert.deepEqual(json.choices, [
    { label: 'A', text: 'x' },
    { label: 'B', text: 'y' },
  ]);
});

test('a template sees the row and nothing else', async () => {
  const template = (prompt: string): JsonObject => ({ template: { prompt } });
  const row = { question: 'q', extra: 'x' };
  await fails(
    [row],
    template('{{ questoin }}'),
    /uses "questoin", which is no column \(did you mean "question"\?\)/,
  );
  for (const name of ['strftime_now', 'process', 'globalThis', 'messages']) {
    await fails([row], template(`{{ ${name} }}`), /which is no column/);
  }
  await fails(
    [row],
    template('{{ question.constructor.constructor("return 1")() }}'),
    /template prompt/,
  );
  await fails([row], template('{% if %}'), /template prompt/);
  // A column that some rows lack is known; loop variables and names that were set are, too.
  const { rows } = await formatted([row, { question: 'r' }], {
    template: {
      prompt:
        '{% set a = question %}{% for c in [a] %}{{ c }}{% endfor %}{% if extra is defined %}!{% endif %}',
    },
  });
  assert.deepEqual(
    rows.map(({ prompt }) => prompt),
    ['q!', 'r'],
  );
});

test('few-shot: the same examples before each question, never the question itself', async () => {
  const rows = ['a', 'b', 'c', 'd'].map((question) => ({
    question,
    options: { A: 'x', B: 'y' },
    answer_idx: 'A',
  }));
  const params = { template: 'mcq-letter', description: 'Think.\n\n', fewshot: { n: 2 } };
  const { rows: prompts } = await formatted(rows, params, rows);
  const shot = (question: string): string => `Question: ${question}\nA. x\nB. y\nAnswer: A\n\n`;
  const ask = (question: string): string => `Question: ${question}\nA. x\nB. y\nAnswer:`;
  assert.deepEqual(
    prompts.map(({ prompt }) => prompt),
    [
      `Think.\n\n${shot('b')}${shot('c')}${ask('a')}`,
      `Think.\n\n${shot('a')}${shot('c')}${ask('b')}`,
      `Think.\n\n${shot('a')}${shot('b')}${ask('c')}`,
      `Think.\n\n${shot('a')}${shot('b')}${ask('d')}`,
    ],
  );
  const sampled = { ...params, fewshot: { n: 2, method: 'sample', seed: 1 } };
  const first = await formatted(rows, sampled, rows);
  assert.deepEqual((await formatted(rows, sampled, rows)).rows, first.rows);
  await assert.rejects(
    formatted(rows, { ...params, fewshot: { n: 5 } }, rows),
    /asks for 5 examples/,
  );
  await fails(rows, params, /input `fewshot`, which is missing/);
});

test('the digest says whether two sets of prompts are written the same way', async () => {
  const digest = async (params: JsonObject, row: JsonObject = QUESTION): Promise<string> =>
    (await formatted([row], params)).document.digest;
  const base = await digest({ template: 'mcq-letter' });
  assert.equal(await digest({ template: 'mcq-letter', columns: { question: 'question' } }), base);
  assert.equal(await digest({ template: 'mcq-letter' }, { ...QUESTION, question: 'Other?' }), base);
  assert.notEqual(await digest({ template: 'mcq-text' }), base);
  assert.notEqual(await digest({ template: 'mcq-letter', description: 'x' }), base);
  assert.notEqual(await digest({ template: 'mcq-letter', answer_only: false }), base);
});

test('parameters that contradict each other are found before a run', () => {
  const messages = (step: StepDefinition, params: JsonObject): string[] =>
    (step.check?.(params) ?? []).map(({ pointer, message }) => `${pointer} ${message}`);
  assert.deepEqual(messages(format, { template: 'medqa' }), []);
  assert.match(
    messages(format, {
      template: 'medqa',
      chat: {},
      max_length: 9,
      on_overflow: 'truncate_start',
    })[0] ?? '',
    /^\/on_overflow .*chat template/,
  );
  assert.match(
    messages(format, { template: 'medqa', on_overflow: 'drop' })[0] ?? '',
    /without max_length/,
  );
});

test('chat and max_length need a model', async () => {
  await fails([QUESTION], { template: 'mcq-text', chat: {} }, /no input `model`/);
  await fails([QUESTION], { template: 'mcq-text', max_length: 10 }, /no input `model`/);
});

test('the schema names every template there is', () => {
  const schema = JSON.stringify(format.params['properties']);
  const names = /"anyOf":\[\{"enum":(\[[^\]]*\])/.exec(schema)?.[1] ?? '[]';
  assert.deepEqual((JSON.parse(names) as string[]).toSorted(), [...TEMPLATE_NAMES].toSorted());
});
