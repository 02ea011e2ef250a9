// score: predictions -> values of metrics with their uncertainty, for all rows and for groups of rows.

import { defineStep } from '../../engine/step.ts';

export const score = defineStep({
  name: 'score',
  version: 1,
  summary: 'Scores predictions with metrics, each with standard error and 95 % interval.',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      metrics: {
        type: 'array',
        minItems: 1,
        uniqueItems: true,
        description:
          'Metric names. Default: what the predictions allow (text: exact_match, token_f1, rouge_l and, with options, option_accuracy and unparsed_rate; choices: accuracy, accuracy_norm; perplexity: perplexity, loss).',
        items: {
          type: 'string',
          enum: [
            'accuracy',
            'accuracy_norm',
            'bits_per_byte',
            'brier',
            'distinct_1',
            'distinct_2',
            'exact_match',
            'length',
            'loss',
            'loss_std',
            'macro_f1',
            'nll',
            'option_accuracy',
            'partial_match',
            'perplexity',
            'quasi_exact_match',
            'rouge_1',
            'rouge_2',
            'rouge_l',
            'rouge_lsum',
            'token_f1',
            'unparsed_rate',
          ],
        },
      },
      group_by: {
        type: 'array',
        items: { type: 'string' },
        default: [],
        description: 'Names of groups (from format) to give separate tables for.',
      },
      cluster_by: {
        type: 'string',
        description:
          'Group whose rows share a passage: standard errors and intervals are then clustered by it.',
      },
      bootstrap: {
        type: 'object',
        additionalProperties: false,
        default: { n: 10000, seed: 0 },
        description: 'Resampling for intervals of metrics that are not proportions.',
        properties: {
          n: { type: 'integer', minimum: 100, default: 10000, description: 'Resamples.' },
          seed: { type: 'integer', minimum: 0, default: 0, description: 'Seed of the resampling.' },
        },
      },
    },
  },
  inputs: { predictions: { kind: ['predictions', 'dataset'], many: true } },
  outputs: () => ({ scores: 'scores' }),
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
