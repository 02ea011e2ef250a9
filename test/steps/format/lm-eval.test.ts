// The named templates against what lm-evaluation-harness made of the same rows, to the byte, through both steps.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { JsonObject } from '../../../schemas/json.ts';
import type { PromptRow } from '../../../schemas/artifact.ts';
import { format } from '../../../steps/format/step.ts';
import { loadDataset } from '../../../steps/load-dataset/step.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';
import { runStep } from '../context.ts';

interface Golden {
  readonly num_fewshot: number;
  readonly rows: readonly [number, number];
  readonly choices: readonly string[];
  readonly description: string;
  readonly samples: readonly {
    readonly row: number;
    readonly context: string;
    readonly continuations: readonly string[];
    readonly gold: number;
  }[];
}

const MMLU_HEADER = ['question', 'A', 'B', 'C', 'D', 'answer'];

const load = async (params: JsonObject): ReturnType<typeof runStep> =>
  runStep(loadDataset, { params: { id_column: null, ...params } });

const checkTask = async (
  golden: Golden,
  data: JsonObject,
  formatParams: JsonObject,
  fewshot?: JsonObject,
): Promise<void> => {
  const rows = (await load(data)).output('rows', 'dataset');
  const examples =
    fewshot === undefined ? {} : { fewshot: [(await load(fewshot)).output('rows', 'dataset')] };
  const formatted = await runStep(format, {
    params: formatParams,
    inputs: { rows: [rows], ...examples },
  });
  const prompts = readFileSync(formatted.output('prompts', 'prompts').file('rows.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as PromptRow);
  assert.ok(golden.samples.length >= 50);
  for (const [index, sample] of golden.samples.entries()) {
    const prompt = prompts[index];
    assert.equal(prompt?.prompt, sample.context);
    assert.deepEqual(
      prompt.choices?.map(({ text }) => text),
      sample.continuations,
    );
    assert.equal(
      prompt.choices?.findIndex(({ label }) => label === prompt.answer),
      sample.gold,
    );
    assert.equal(prompt.completion, sample.continuations[sample.gold]);
  }
};

const golden = (name: string): Golden => readSharedJson<Golden>(`goldens/lm-eval/${name}.json`);
const options = (...needs: string[]): { skip: string | false } => ({
  skip: skipUnlessShared('goldens/lm-eval', ...needs.map((name) => `data/${name}`)),
});

test('medqa', options('medqa'), () =>
  checkTask(
    golden('medqa_4options'),
    { source: 'file', path: sharedPath('data/medqa/test.jsonl'), take: 50 },
    { template: 'medqa' },
  ),
);

test('medmcqa', options('medmcqa'), () =>
  checkTask(
    golden('medmcqa'),
    { source: 'file', path: sharedPath('data/medmcqa/validation-2816.jsonl'), take: 50 },
    { template: 'medmcqa' },
  ),
);

test('pubmedqa: the official test ids in the order of ori_pqal.json', options('pubmedqa'), () => {
  const ids = Object.keys(
    readSharedJson<Record<string, string>>('data/pubmedqa/test_ground_truth.json'),
  );
  return checkTask(
    golden('pubmedqa'),
    {
      source: 'file',
      path: sharedPath('data/pubmedqa/ori_pqal.json'),
      where: { key: { in: ids } },
      take: 50,
    },
    { template: 'pubmedqa' },
  );
});

const MMLU = [
  'anatomy',
  'clinical_knowledge',
  'college_biology',
  'college_medicine',
  'medical_genetics',
  'nutrition',
  'professional_medicine',
  'virology',
];

for (const subject of MMLU) {
  test(`mmlu ${subject}`, options('mmlu-medical'), () => {
    const expected = golden(`mmlu_${subject}`);
    return checkTask(
      expected,
      {
        source: 'file',
        path: sharedPath(`data/mmlu-medical/test/${subject}_test.csv`),
        header: MMLU_HEADER,
        take: 50,
      },
      { template: 'mmlu', description: expected.description },
    );
  });
}

test('mmlu anatomy, five examples', options('mmlu-medical'), () => {
  const expected = golden('mmlu_anatomy_5shot');
  const file = (split: string): JsonObject => ({
    source: 'file',
    path: sharedPath(`data/mmlu-medical/${split}/anatomy_${split}.csv`),
    header: MMLU_HEADER,
  });
  return checkTask(
    expected,
    { ...file('test'), take: 50 },
    { template: 'mmlu', description: expected.description, fewshot: { n: 5 } },
    file('dev'),
  );
});
