// A model as the benches open it: a checkpoint (file or folder), or a model artifact that `mesa export` wrote; as it
// is, or quantised first.

import { copyFileSync, existsSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Model } from '../models/model.ts';
import { openModel } from '../models/model.ts';
import { weightModeOf } from '../steps/generate/place.ts';
import { loadModel } from '../steps/load-model/step.ts';
import { quantize } from '../steps/quantize/step.ts';
import { folderArtifact, runStep } from '../test/steps/context.ts';
import type { JsonObject } from '../schemas/json.ts';
import type { WeightSource } from '../models/weights.ts';

export interface BenchModel extends Omit<Model, 'weights'> {
  weights(mode: Parameters<Model['weights']>[0]): WeightSource;
  dispose(): void;
}

/** A folder that looks like the artifact load-model makes of a checkpoint, with links to its files. */
export const artifactFolder = async (path: string): Promise<string> => {
  const loaded = await runStep(loadModel, { params: { source: 'path', path: resolve(path) } });
  const artifact = loaded.output('model', 'model');
  const folder = mkdtempSync(join(tmpdir(), 'mesa-artifact-'));
  for (const name of artifact.names) {
    if (name === 'model.json') copyFileSync(artifact.file(name), join(folder, name));
    else symlinkSync(realpathSync(artifact.file(name)), join(folder, name));
  }
  loaded.dispose();
  return folder;
};

/** `int8+head`: the head as well, which is the embeddings where they are tied. */
const quantizeParams = (format: string): JsonObject => {
  const [name = '', head] = format.split('+');
  return { format: name, ...(head === 'head' ? { skip_modules: [] } : {}) };
};

/** `derived`: where converted weights are kept; default: a folder that goes with the model. */
export const benchModel = async (
  path: string,
  format?: string,
  kept?: string,
): Promise<BenchModel> => {
  const made = existsSync(join(path, 'model.json'));
  const loaded = made
    ? null
    : await runStep(loadModel, { params: { source: 'path', path: resolve(path) } });
  const original = loaded?.output('model', 'model') ?? folderArtifact('model', path);
  const quantized =
    format === undefined
      ? null
      : await runStep(quantize, { params: quantizeParams(format), inputs: { model: original } });
  const model = openModel(quantized?.output('model', 'model') ?? original);
  const stored = await weightModeOf(model, { device: 'cpu', compute: 'float32' });
  const derived = kept ?? mkdtempSync(join(tmpdir(), 'mesa-bench-'));
  return {
    ...model,
    // As the step generate opens it on this processor.
    weights: (mode) => model.weights(mode === 'stored' ? stored : mode, derived),
    dispose: () => {
      quantized?.dispose();
      loaded?.dispose();
      if (kept === undefined) rmSync(derived, { recursive: true, force: true });
    },
  };
};
