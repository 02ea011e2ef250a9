// format: rows -> prompts, completions and choices, by a named template or one in the experiment file.

import { defineStep } from '../../engine/step.ts';
import { checkParams, PARAMS } from './parameters.ts';

export const format = defineStep({
  name: 'format',
  version: 1,
  summary: 'Writes rows as prompts with completion, choices and references.',
  params: PARAMS,
  inputs: {
    rows: { kind: 'dataset' },
    fewshot: { kind: 'dataset', optional: true },
    model: { kind: 'model', optional: true },
  },
  outputs: () => ({ prompts: 'prompts' }),
  check: checkParams,
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
