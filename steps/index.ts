// The built-in step types: the one literal list. A definition is cheap to import (its `run` loads the rest), so that
// planning a thousand steps loads no model code.

import type { StepDefinition, StepRegistry } from '../engine/step.ts';
import { compareBaseline } from './compare-baseline/step.ts';
import { format } from './format/step.ts';
import { generate } from './generate/step.ts';
import { loadAdapter } from './load-adapter/step.ts';
import { loadDataset } from './load-dataset/step.ts';
import { loadModel } from './load-model/step.ts';
import { loraTrain } from './lora-train/step.ts';
import { quantize } from './quantize/step.ts';
import { score } from './score/step.ts';

/** In the order in which an experiment usually uses them. */
const definitions: readonly StepDefinition[] = [
  loadModel,
  loadAdapter,
  loadDataset,
  format,
  quantize,
  loraTrain,
  generate,
  score,
  compareBaseline,
];

const byName = new Map(definitions.map((definition) => [definition.name, definition]));

export const registry: StepRegistry = {
  get: (name) => byName.get(name),
  names: definitions.map(({ name }) => name),
};
