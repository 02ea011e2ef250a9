// A model as the benches open it: a checkpoint (file or folder), or a model artifact that `mesa export` wrote.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Model } from '../models/model.ts';
import { openModel } from '../models/model.ts';
import { loadModel } from '../steps/load-model/step.ts';
import { folderArtifact, runStep } from '../test/steps/context.ts';
import type { WeightSource } from '../models/weights.ts';

export interface BenchModel extends Omit<Model, 'weights'> {
  weights(mode: Parameters<Model['weights']>[0]): WeightSource;
  dispose(): void;
}

export const benchModel = async (path: string): Promise<BenchModel> => {
  const made = existsSync(join(path, 'model.json'));
  const loaded = made ? null : await runStep(loadModel, { params: { source: 'path', path } });
  const model = openModel(loaded?.output('model', 'model') ?? folderArtifact('model', path));
  const derived = mkdtempSync(join(tmpdir(), 'mesa-bench-'));
  return {
    ...model,
    weights: (mode) => model.weights(mode, derived),
    dispose: () => {
      loaded?.dispose();
      rmSync(derived, { recursive: true, force: true });
    },
  };
};
