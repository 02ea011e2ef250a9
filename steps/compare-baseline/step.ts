// compare-baseline: is each candidate better than the baseline on the same rows?

import { defineStep } from '../../engine/step.ts';
import { gateSyntax, parseGate } from '../../metrics/gate.ts';

export const compareBaseline = defineStep({
  name: 'compare-baseline',
  version: 1,
  summary: 'Compares scores of the same rows: paired differences, intervals, tests, gates.',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      metrics: {
        type: 'array',
        minItems: 1,
        uniqueItems: true,
        items: { type: 'string' },
        description: 'Metrics to compare. Default: all that both sides have.',
      },
      confidence: {
        type: 'number',
        exclusiveMinimum: 0,
        exclusiveMaximum: 1,
        default: 0.95,
        description: 'Of the intervals; a verdict needs an adjusted p of at most 1 - confidence.',
      },
      correction: {
        enum: ['holm', 'bh', 'none'],
        default: 'holm',
        description: 'Adjustment of p for the number of comparisons made here.',
      },
      test: {
        enum: ['auto', 'bootstrap', 'mcnemar', 'permutation'],
        default: 'auto',
        description: 'auto: exact McNemar for right/wrong rows, else the paired bootstrap.',
      },
      bootstrap: {
        type: 'object',
        additionalProperties: false,
        default: { n: 10000, seed: 0 },
        properties: {
          n: { type: 'integer', minimum: 100, default: 10000, description: 'Resamples.' },
          seed: { type: 'integer', minimum: 0, default: 0, description: 'Seed of the resampling.' },
        },
      },
      gates: {
        type: 'array',
        items: { type: 'string' },
        default: [],
        description: `Conditions that make the run exit 1 where they don't hold: ${gateSyntax}.`,
      },
    },
  },
  inputs: {
    baseline: { kind: 'scores' },
    candidate: { kind: 'scores', many: true },
  },
  outputs: () => ({ comparison: 'comparison' }),
  check: (params) =>
    (Array.isArray(params['gates']) ? params['gates'] : []).flatMap((gate, index) =>
      typeof gate === 'string' && parseGate(gate) === null
        ? [
            {
              pointer: `/gates/${index}`,
              message: `this is no gate: ${JSON.stringify(gate)}`,
              hint: `write ${gateSyntax}`,
            },
          ]
        : [],
    ),
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
