// The result table: what a person reads last, so it is a golden for each of its forms.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricValue, PairedComparison, ScoresDocument } from '../../schemas/artifact.ts';
import { nextCommand } from '../../ui/next-command.ts';
import { resultTable } from '../../ui/result-table.ts';
import type { ComparisonResult, RunResults } from '../../ui/results.ts';
import { makeTheme } from '../../ui/theme.ts';

const theme = makeTheme(false);

/** With an interval of 1.96 standard errors on both sides. */
const metric = (value: number, stderr: number | null, higher: boolean | null): MetricValue => ({
  value,
  stderr,
  ci95: stderr === null ? null : [value - 1.96 * stderr, value + 1.96 * stderr],
  n: 1986,
  higher_is_better: higher,
});

const scores = (metrics: ScoresDocument['metrics']): ScoresDocument => ({
  metrics,
  groups: {},
  count: 1986,
});

const paired = (own: Partial<PairedComparison>): PairedComparison => ({
  metric: 'accuracy',
  candidate: null,
  baseline_value: 0.412,
  candidate_value: 0.468,
  difference: 0.056,
  ci95: [0.038, 0.074],
  p: 1e-6,
  p_adjusted: 2e-6,
  n: 1986,
  wins: 241,
  losses: 130,
  ties: 1615,
  smallest_detectable_difference: 0.02,
  higher_is_better: true,
  verdict: 'better',
  test: 'mcnemar',
  ...own,
});

const baseline = {
  step: 'base',
  document: scores({
    accuracy: { ...metric(0.412, 0.011, true), baseline: { majority: 0.27, random: 0.25 } },
    ece: metric(0.121, null, false),
  }),
};

const one: ComparisonResult = {
  step: 'verdict',
  document: {
    confidence: 0.95,
    correction: 'holm',
    comparisons: [
      paired({}),
      paired({
        metric: 'ece',
        baseline_value: 0.121,
        candidate_value: 0.094,
        difference: -0.027,
        ci95: [-0.041, 0.012],
        p: 0.2,
        p_adjusted: 0.2,
        wins: 0,
        losses: 0,
        higher_is_better: false,
        verdict: 'no difference shown',
      }),
    ],
    gates: [
      { expression: 'accuracy >= baseline - 0.01', candidate: null, holds: true },
      { expression: 'accuracy >= 0.5', candidate: null, holds: false },
    ],
  },
  baseline,
  candidates: [
    {
      label: null,
      step: 'lora-r8',
      document: scores({ accuracy: metric(0.468, 0.011, true), ece: metric(0.094, null, false) }),
    },
  ],
};

const results = (own: Partial<RunResults>): RunResults => ({
  comparisons: [],
  scores: [],
  efforts: [],
  ...own,
});

const lines = (given: RunResults, width: number | null = null): string[] =>
  resultTable(given, { theme, width });

test('base against one candidate, with gates and what it cost', () => {
  const efforts = [
    {
      step: 'adapter',
      durationMs: 260_000,
      cached: false,
      measurements: [
        { name: 'tokens_per_second', value: 1840, unit: 'tok/s' },
        { name: 'peak_memory', value: 3.1e9, unit: 'bytes' },
      ],
    },
    { step: 'loads-only', durationMs: 100, cached: false, measurements: [] },
  ];
  assert.deepEqual(lines(results({ comparisons: [one], efforts })), [
    'metric       base                  lora-r8               difference  (paired, 95 % CI)                                                 p',
    'accuracy  ↑  0.412 [0.390, 0.434]  0.468 [0.446, 0.490]      +0.056  [+0.038, +0.074]   better               n=1986  won 241 lost 130  <0.001',
    'ece       ↓  0.121                 0.094                     -0.027  [-0.041, +0.012]   no difference shown  n=1986                    0.200',
    'accuracy: 0.250 by chance, 0.270 by always giving the commonest answer',
    '✔ gate holds   accuracy >= baseline - 0.01',
    '✘ gate failed  accuracy >= 0.5',
    '[ ] after a value: its 95 % confidence interval',
    '',
    'adapter  4m 20s  1840 tok/s  3.1 GB peak',
  ]);
});

test('a narrower terminal loses what can be lost; a narrow one gets one number a line', () => {
  assert.deepEqual(lines(results({ comparisons: [one] }), 110).slice(0, 3), [
    'metric       base                  lora-r8               difference  (paired, 95 % CI)',
    'accuracy  ↑  0.412 [0.390, 0.434]  0.468 [0.446, 0.490]      +0.056  [+0.038, +0.074]   better',
    'ece       ↓  0.121                 0.094                     -0.027  [-0.041, +0.012]   no difference shown',
  ]);
  const narrow = lines(results({ comparisons: [one] }), 60);
  assert.deepEqual(narrow.slice(0, 10), [
    'accuracy ↑  n=1986',
    '  base         0.412 [0.390, 0.434]',
    '  lora-r8      0.468 [0.446, 0.490]',
    '  difference  +0.056 [+0.038, +0.074]',
    '               better  won 241 lost 130  p <0.001',
    'ece ↓  n=1986',
    '  base         0.121',
    '  lora-r8      0.094',
    '  difference  -0.027 [-0.041, +0.012]',
    '               no difference shown  p 0.200',
  ]);
});

test('several candidates stand under their metric', () => {
  const many: ComparisonResult = {
    ...one,
    document: {
      ...one.document,
      gates: [],
      comparisons: [
        paired({ candidate: 'r=8', p: null, p_adjusted: null }),
        paired({
          candidate: 'r=16',
          verdict: 'worse',
          difference: -0.05,
          ci95: [-0.07, -0.03],
          candidate_value: 0.362,
          p: null,
          p_adjusted: null,
        }),
      ],
    },
    candidates: [
      { label: 'r=8', step: 'tuned[r=8]', document: null },
      { label: 'r=16', step: 'tuned[r=16]', document: null },
    ],
  };
  assert.deepEqual(lines(results({ comparisons: [many] }), 105).slice(0, 3), [
    'metric       candidate  base                  candidate  difference  (paired, 95 % CI)',
    'accuracy  ↑  r=8        0.412 [0.390, 0.434]  0.468          +0.056  [+0.038, +0.074]   better  n=1986',
    '             r=16       0.412 [0.390, 0.434]  0.362          -0.050  [-0.070, -0.030]   worse   n=1986',
  ]);
});

test('scores alone: metrics down for a few steps, steps down for many', () => {
  const few = results({ scores: [baseline] });
  assert.deepEqual(lines(few), [
    'metric       base',
    'accuracy  ↑  0.412 [0.390, 0.434]  n=1986',
    'ece       ↓  0.121                 n=1986',
    'accuracy: 0.250 by chance, 0.270 by always giving the commonest answer',
    '[ ] after a value: its 95 % confidence interval',
  ]);
  const many = Array.from({ length: 5 }, (_, i) => ({ ...baseline, step: `s[seed=${i}]` }));
  assert.deepEqual(lines(results({ scores: many })).slice(0, 2), [
    '           accuracy ↑            ece ↓',
    's[seed=0]  0.412 [0.390, 0.434]  0.121  n=1986',
  ]);
});

test('scores too wide for the terminal stand one a line', () => {
  const three = ['one', 'two', 'three'].map((step) => ({ ...baseline, step }));
  assert.deepEqual(lines(results({ scores: three }), 70).slice(0, 5), [
    'metric       step',
    'accuracy  ↑  one    0.412 [0.390, 0.434]  n=1986',
    '             two    0.412 [0.390, 0.434]  n=1986',
    '             three  0.412 [0.390, 0.434]  n=1986',
    'ece       ↓  one    0.121                 n=1986',
  ]);
});

test('large and small numbers keep three or four digits', () => {
  const document = scores({
    perplexity: metric(1234.5678, 12.3, false),
    loss: metric(13.7654, 0.2, false),
  });
  assert.deepEqual(lines(results({ scores: [{ step: 's', document }] })).slice(1, 3), [
    'perplexity  ↓  1235 [1210, 1259]     n=1986',
    'loss        ↓  13.77 [13.37, 14.16]  n=1986',
  ]);
});

test('nothing to show is nothing', () => {
  assert.deepEqual(lines(results({})), []);
});

test('the next command follows from how the run ended', () => {
  const end = {
    run: 'k7q2',
    status: 'ok',
    failedStep: null,
    program: 'mesa',
    command: 'mesa run x.yaml',
  } as const;
  assert.equal(
    nextCommand(end, results({ comparisons: [one] })),
    "mesa show k7q2/lora-r8 --samples 'accuracy=0'",
  );
  assert.equal(nextCommand(end, results({})), 'mesa show k7q2');
  assert.equal(
    nextCommand({ ...end, status: 'failed', failedStep: 'a' }, results({})),
    'mesa show k7q2/a --log',
  );
  assert.equal(nextCommand({ ...end, status: 'interrupted' }, results({})), 'mesa run x.yaml');
});
