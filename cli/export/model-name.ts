// What a model is called by people: its id on a hub, the folder or file it was read from, or the server's name for it.

import path from 'node:path';
import type { Project } from '../../engine/project.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { inputsAt, type StepOfRun } from '../lineage.ts';

/** Of a step that loads. Never a whole path: where a file lies on somebody's machine is nobody's business. */
export const sourceName = (params: JsonObject): string => {
  const { source, id, path: file, config } = params;
  if (source === 'hub' && typeof id === 'string') return id;
  const names = (Array.isArray(file) ? (file as readonly unknown[]) : [file]).filter(
    (name) => typeof name === 'string',
  );
  if (names.length > 0) return names.map((name) => path.basename(name)).join(', ');
  return config === undefined ? (source as string) : 'random weights';
};

/** Of the model behind a step: `id`, `id + adapter`, `id (nf4)`. */
export const modelName = (project: Project, found: StepOfRun): string => {
  const { step } = found;
  const { params } = step;
  if (step.uses === 'load-model') return sourceName(params);
  if (params['backend'] === 'openai' && typeof params['model'] === 'string') return params['model'];
  const [model] = inputsAt(project, found, 'model');
  const base = model === undefined ? null : modelName(project, model);
  const named = base ?? step.step;
  if (step.uses === 'quantize') return `${named} (${params['format'] as string})`;
  if (step.uses === 'lora-train') return `${named} + ${step.step}`;
  const [adapter] = inputsAt(project, found, 'adapter');
  return adapter === undefined ? named : `${named} + ${adapter.step.step}`;
};
