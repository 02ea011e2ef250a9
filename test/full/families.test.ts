// `mesa run` of a small experiment with every architecture: each folder of the goldens is a test, and a folder more is a
// test more. The project's own tiny model stands for folders with a tokenizer.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openModel } from '../../models/model.ts';
import { readAdapter } from '../../models/peft-files.ts';
import type {
  ComparisonDocument,
  PredictionRow,
  ScoredChoice,
  ScoresDocument,
  TrainingDocument,
} from '../../schemas/artifact.ts';
import { Results } from '../results.ts';
import { Rig } from '../rig.ts';
import { projectRoot, sharedPath, skipUnlessShared } from '../shared.ts';
import { experimentOf, familyOf, METRICS, SIDES, type Family } from './family-experiment.ts';

const compiled = import.meta.filename.endsWith('.js');
const tokenPrompts = join(import.meta.dirname, `token-prompts${compiled ? '.js' : '.ts'}`);

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Log-probabilities of the completions, each by itself. */
const completions = async (results: Results, step: string): Promise<readonly number[]> =>
  (await results.rows<PredictionRow>(step)).map(({ logprob }) => logprob ?? NaN);

/** The same from choices: a row's own completion is the choice at its place. */
const ownChoices = async (results: Results, step: string): Promise<readonly number[]> =>
  (await results.rows<PredictionRow>(step)).map((row, index) => {
    const choices = row.choices as readonly ScoredChoice[];
    for (const { logprob } of choices) assert.ok(logprob < 0 && Number.isFinite(logprob), step);
    return choices[index]?.logprob ?? NaN;
  });

const checkTexts = async (results: Results, step: string): Promise<void> => {
  for (const row of await results.rows<PredictionRow>(step)) {
    const tokens = row.tokens as readonly number[];
    assert.ok(tokens.length >= 1 && tokens.length <= 3, step);
  }
};

const assertClose = (
  actual: readonly number[],
  expected: readonly (number | null)[],
  what: string,
): void => {
  for (const [row, value] of expected.entries())
    assert.ok(
      value === null || Math.abs((actual[row] ?? NaN) - value) < 1e-3,
      `${what}, row ${row}: ${actual[row]}, not ${value}`,
    );
};

const checkAdapter = async (results: Results, step: string, family: Family): Promise<void> => {
  const artifact = await results.artifact(step);
  const { tensors } = readAdapter({
    config: artifact.file('adapter_config.json'),
    weights: artifact.file('adapter_model.safetensors'),
  });
  // Every matrix of the checkpoint but embeddings, head and routers.
  const model = openModel(await results.artifact('model'));
  const linear = [...model.tensors()].filter(
    ([name, { shape }]) =>
      shape.length === 2 && !/embed|wte|wpe|lm_head|output_projection|\.gate\.weight/.test(name),
  );
  assert.deepEqual(
    [...tensors].map(([name, { shape }]) => `${name} ${shape.join()}`).sort(),
    linear
      .flatMap(
        ([
          name,
          {
            shape: [out = 0, from = 0],
          },
        ]) => {
          const module = `base_model.model.${name.replace(/\.weight$/, '')}`;
          return [`${module}.lora_A.weight 2,${from}`, `${module}.lora_B.weight ${out},2`];
        },
      )
      .sort(),
  );
  const { log, rows } = await results.document<TrainingDocument>(step, 'training.json');
  assert.deepEqual(rows, { trained: family.rows.length, dropped: [] });
  assert.equal(log.length, 4);
  assert.ok((log.at(-1)?.loss ?? Infinity) < (log[0]?.loss ?? 0), `${step} learnt nothing`);
};

const axesOf = (family: Family, side: string): readonly string[] =>
  side.startsWith('quantised') ? family.formats.map((format) => `[format=${format}]`) : [''];

const checkScores = async (results: Results, family: Family): Promise<void> => {
  const n = family.rows.length;
  let compared = 0;
  for (const { name, modes } of SIDES)
    for (const axes of axesOf(family, name)) {
      const instance = `${name}-scores${axes}`;
      const { metrics } = await results.document<ScoresDocument>(instance, 'scores.json');
      assert.deepEqual(
        Object.entries(metrics).map(([metric, value]) => [metric, value.n]),
        modes.flatMap((mode) => METRICS[mode]).map((metric) => [metric, n]),
        instance,
      );
      if (name !== 'base') compared += Object.keys(metrics).length;
    }
  const { comparisons } = await results.document<ComparisonDocument>('verdict', 'comparison.json');
  assert.equal(comparisons.length, compared);
  for (const comparison of comparisons) assert.equal(comparison.n, n);
};

const check = async (results: Results, family: Family): Promise<void> => {
  const base = await completions(results, 'base-perplexity');
  assertClose(base, family.expected, 'the reference');
  for (const [index, folder] of family.variants.entries())
    assert.deepEqual(
      await completions(results, `variant${index}-perplexity`),
      base,
      `${folder} holds the same weights`,
    );
  const tuned = await completions(results, 'tuned-perplexity');
  assertClose(await ownChoices(results, 'base-choices'), base, 'base: as a choice');
  assertClose(await ownChoices(results, 'tuned-choices'), tuned, 'tuned: as a choice');
  assert.ok(sum(tuned) > sum(base), 'what was taught became less likely');
  await checkAdapter(results, 'adapter', family);
  for (const step of ['base-text', 'tuned-text']) await checkTexts(results, step);

  for (const axes of axesOf(family, 'quantised')) {
    const packed = await completions(results, `quantised-perplexity${axes}`);
    assert.notDeepEqual(packed, base, `${axes} changed nothing`);
    const plain = await completions(results, `unpacked-perplexity${axes}`);
    assertClose(packed, plain, `${axes}: the same weights unpacked`);
    const learnt = await ownChoices(results, `quantised-tuned-choices${axes}`);
    assert.ok(sum(learnt) > sum(packed), `${axes}: what was taught became less likely`);
    await checkAdapter(results, `packed-adapter${axes}`, family);
    await checkTexts(results, `quantised-tuned-text${axes}`);
  }
  await checkScores(results, family);
};

const familyTest = (name: string, folder: string): void => {
  test(`${name}: loaded, quantised, tuned, asked in every mode, scored and compared`, async () => {
    const rig = new Rig();
    try {
      const family = familyOf(name, folder);
      rig.write('family.yaml', experimentOf(family, tokenPrompts));
      const { code, stdout, stderr } = await rig.run(['run', 'family.yaml']);
      assert.equal(code, 0, stdout + stderr);
      const states = rig.record().steps.map(({ state }) => state);
      assert.deepEqual(new Set(states), new Set(['ran']));
      using results = new Results(rig.root);
      await check(results, family);
    } finally {
      await rig.dispose();
    }
  });
};

const ROOT = 'goldens/architectures';
const skip = skipUnlessShared(ROOT);
if (skip !== false) test('every architecture', { skip }, () => undefined);
else
  for (const name of readdirSync(sharedPath(ROOT)).sort())
    if (existsSync(sharedPath(`${ROOT}/${name}/config.json`)))
      familyTest(name, sharedPath(`${ROOT}/${name}`));
familyTest('tiny', join(projectRoot, 'experiments/models/tiny'));
