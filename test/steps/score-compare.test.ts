import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { InputArtifact } from '../../engine/step.ts';
import type { ComparisonDocument, PredictionRow, ScoresDocument } from '../../schemas/artifact.ts';
import { metricNames } from '../../metrics/registry.ts';
import { compareBaseline } from '../../steps/compare-baseline/step.ts';
import { score } from '../../steps/score/step.ts';
import { folderArtifact, runStep } from './context.ts';
import { scratchFolder } from '../scratch.ts';

const labels = ['A', 'B', 'C', 'D'];
const options = labels.map((label) => ({ label, text: `option ${label}` }));

const predictions = (mode: string, rows: readonly PredictionRow[]): InputArtifact => {
  const folder = scratchFolder('predictions');
  writeFileSync(join(folder, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  writeFileSync(join(folder, 'predictions.json'), JSON.stringify({ mode }));
  return folderArtifact('predictions', folder);
};

/** n questions, of which the first `right` are answered correctly. */
const answers = (n: number, right: number, prefix = 'q'): PredictionRow[] =>
  Array.from({ length: n }, (_, index) => {
    const answer = labels[index % 4]!;
    return {
      id: `${prefix}${index}`,
      item: `item${index}`,
      answer,
      choices: options,
      completion: answer,
      text: index < right ? answer : labels[(index + 1) % 4]!,
      group: { half: index < n / 2 ? 'first' : 'second' },
    };
  });

const scoreOf = async (artifact: InputArtifact, params = {}): Promise<InputArtifact> =>
  (await runStep(score, { params, inputs: { predictions: [artifact] } })).output(
    'scores',
    'scores',
  );

const read = <T>(artifact: InputArtifact, name: string): T =>
  JSON.parse(readFileSync(artifact.file(name), 'utf8')) as T;

test('score gives every metric with n, standard error, interval, and baselines beside accuracies', async () => {
  const artifact = predictions('text', answers(40, 30));
  const scores = await scoreOf(artifact, { group_by: ['half'] });
  const { metrics, groups, count } = read<ScoresDocument>(scores, 'scores.json');
  assert.equal(count, 40);
  assert.equal(metrics['option_accuracy']?.value, 0.75);
  assert.deepEqual(metrics['option_accuracy']?.baseline, { majority: 0.25, random: 0.25 });
  assert.equal(metrics['unparsed_rate']?.value, 0);
  const [low, high] = metrics['option_accuracy']?.ci95 ?? [NaN, NaN];
  assert.ok(low > 0.55 && low < 0.75 && high > 0.75 && high < 0.9);
  assert.equal(groups['half']?.['first']?.['option_accuracy']?.value, 1);
  assert.equal(groups['half']?.['second']?.['option_accuracy']?.value, 0.5);
});

test('scoring twice gives the same bytes', async () => {
  const artifact = predictions('text', answers(30, 11));
  const [first, second] = [await scoreOf(artifact), await scoreOf(artifact)];
  assert.equal(first.digest, second.digest);
});

test('predictions of several modes are merged by id, and each metric takes its own', async () => {
  const rows = answers(8, 4);
  const likelihood = rows.map(({ id, item }) => ({
    id,
    item,
    logprob: -2,
    tokens: 4,
    completion: 'ab',
  }));
  const run = await runStep(score, {
    params: { metrics: ['option_accuracy', 'perplexity'] },
    inputs: {
      predictions: [predictions('text', rows), predictions('perplexity', likelihood.toReversed())],
    },
  });
  const { metrics } = read<ScoresDocument>(run.output('scores', 'scores'), 'scores.json');
  assert.equal(metrics['option_accuracy']?.value, 0.5);
  assert.ok(Math.abs((metrics['perplexity']?.value ?? 0) - Math.exp(0.5)) < 1e-12);
});

test('a metric without predictions of its mode, and rows on one side only, are errors that say so', async () => {
  const artifact = predictions('text', answers(4, 4));
  await assert.rejects(
    scoreOf(artifact, { metrics: ['perplexity'] }),
    /perplexity needs predictions of mode perplexity; given: text/,
  );
  const other = predictions('perplexity', [{ id: 'q0', item: 'item0', logprob: -1, tokens: 1 }]);
  await assert.rejects(
    runStep(score, { inputs: { predictions: [artifact, other] } }),
    /row "q1" is in input 1 \(text\) but not in input 2 \(perplexity\)/,
  );
});

test('a real difference is shown, with wins, losses and McNemar', async () => {
  const run = await runStep(compareBaseline, {
    params: {
      metrics: ['option_accuracy'],
      gates: ['option_accuracy >= baseline + 0.2', 'option_accuracy > 0.99'],
    },
    inputs: {
      baseline: await scoreOf(predictions('text', answers(100, 40))),
      candidate: await scoreOf(predictions('text', answers(100, 70))),
    },
  });
  const { comparisons, gates } = read<ComparisonDocument>(
    run.output('comparison', 'comparison'),
    'comparison.json',
  );
  const [only] = comparisons;
  assert.equal(comparisons.length, 1);
  assert.ok(Math.abs((only?.difference ?? 0) - 0.3) < 1e-12);
  assert.deepEqual([only?.wins, only?.losses, only?.ties], [30, 0, 70]);
  assert.equal(only?.verdict, 'better');
  assert.ok((only?.ci95[0] ?? 0) > 0.2 && (only?.ci95[1] ?? 1) < 0.4);
  assert.ok(Math.abs((only?.p ?? 1) - 2 * 0.5 ** 30) < 1e-15);
  assert.deepEqual(
    gates.map(({ holds }) => holds),
    [true, false],
  );
  assert.deepEqual(
    run.gates.map(({ holds }) => holds),
    [true, false],
  );
});

test('no difference is claimed where there is none', async () => {
  const baseline = await scoreOf(predictions('text', answers(60, 30)));
  const run = await runStep(compareBaseline, { inputs: { baseline, candidate: baseline } });
  const { comparisons } = read<ComparisonDocument>(
    run.output('comparison', 'comparison'),
    'comparison.json',
  );
  assert.ok(comparisons.length >= 4);
  for (const { difference, p, verdict } of comparisons) {
    assert.equal(difference, 0);
    assert.equal(p, 1);
    assert.equal(verdict, 'no difference shown');
  }
});

test('rows that differ in id or in content are not compared', async () => {
  const baseline = await scoreOf(predictions('text', answers(10, 5)));
  const others = await scoreOf(predictions('text', answers(10, 5, 'x')));
  await assert.rejects(
    runStep(compareBaseline, { inputs: { baseline, candidate: others } }),
    /only the baseline has q0, q1, q2 and 7 more; only the candidate has x0/,
  );
  const changed = await scoreOf(
    predictions(
      'text',
      answers(10, 5).map((row) => ({ ...row, item: `${row.item}!` })),
    ),
  );
  await assert.rejects(
    runStep(compareBaseline, { inputs: { baseline, candidate: changed } }),
    /row q0 is another question/,
  );
});

test('the metrics that score accepts are those that there are', () => {
  const { properties } = score.params as {
    properties: { metrics: { items: { enum: readonly string[] } } };
  };
  assert.deepEqual(properties.metrics.items.enum, metricNames);
});

test('candidates listed one by one are told apart by their place', async () => {
  const better = await scoreOf(predictions('text', answers(20, 15)));
  const run = await runStep(compareBaseline, {
    params: { metrics: ['option_accuracy'] },
    inputs: {
      baseline: await scoreOf(predictions('text', answers(20, 5))),
      candidate: [better, better],
    },
  });
  const { comparisons } = read<ComparisonDocument>(
    run.output('comparison', 'comparison'),
    'comparison.json',
  );
  assert.deepEqual(
    comparisons.map(({ candidate }) => candidate),
    ['#1', '#2'],
  );
});
