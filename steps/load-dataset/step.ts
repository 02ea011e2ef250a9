// load-dataset: files (or rows in the experiment file) -> rows with an identity, in splits.

import { defineStep } from '../../engine/step.ts';
import { checkParams } from './check.ts';
import { hubRequests } from './hub-request.ts';
import { PARAMS, splitNames } from './parameters.ts';

export const loadDataset = defineStep({
  name: 'load-dataset',
  version: 1,
  summary: 'Reads rows, gives them ids, filters, samples and splits them.',
  params: PARAMS,
  inputs: { against: { kind: 'dataset', optional: true } },
  outputs: (params) => {
    const splits = splitNames(params);
    return Object.fromEntries(
      (splits.length === 0 ? ['rows'] : splits).map((name) => [name, 'dataset' as const]),
    );
  },
  hub: hubRequests,
  check: checkParams,
  weight: 'light',
  run: async (context) => (await import('./run.ts')).run(context),
});
