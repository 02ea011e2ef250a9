// A model file as the benches open it: config and weights straight from the checkpoint, without steps or a cache.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WeightMode } from '../models/checkpoint/layout.ts';
import type { Model } from '../models/model.ts';
import { openModel } from '../models/model.ts';
import { loadModel } from '../steps/load-model/step.ts';
import { runStep } from '../test/steps/context.ts';
import type { WeightSource } from '../models/weights.ts';

export interface BenchModel extends Omit<Model, 'weights'> {
  weights(mode: WeightMode): WeightSource;
  dispose(): void;
}

export const benchModel = async (path: string): Promise<BenchModel> => {
  const loaded = await runStep(loadModel, { params: { source: 'path', path } });
  const model = openModel(loaded.output('model', 'model'));
  const derived = mkdtempSync(join(tmpdir(), 'mesa-bench-'));
  return {
    ...model,
    weights: (mode) => model.weights(mode, derived),
    dispose: () => {
      loaded.dispose();
      rmSync(derived, { recursive: true, force: true });
    },
  };
};
