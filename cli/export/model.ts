// Models as a Hugging Face folder or one GGUF file; an adapter is put into its base model first.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { err, ok, type Result } from '../../engine/result.ts';
import { count } from '../../ui/format.ts';
import { inputsAt } from '../lineage.ts';
import { findArtifact, openArtifact, type Missing, type OpenArtifact } from '../results.ts';
import type { Model } from '../../models/model.ts';
import type { Exported, Exporter, ExportRequest } from './form.ts';

type Form = 'hf' | 'gguf';

export const exportModel =
  (form: Form): Exporter =>
  async (request) => {
    const { artifact } = request.found;
    if (artifact.names.includes('adapter_config.json')) return merged(form, request);
    if (!artifact.names.includes('model.json'))
      return err({ message: `a ${artifact.kind} is no model` });
    return foreseen(async () => {
      const { openModel } = await import('../../models/model.ts');
      return write(form, openModel(artifact), artifact, request.folder);
    });
  };

const write = async (
  form: Form,
  model: Model,
  artifact: OpenArtifact,
  folder: string,
): Promise<Exported> => {
  const file = (name: string): string => artifact.file(name);
  const packed = model.document.quantization?.['format'];
  const kept = form === 'hf' ? ['nf4', 'fp4', 'int8'] : ['q8_0', 'q4_0', 'q4_1'];
  const notes =
    typeof packed === 'string' && !kept.includes(packed)
      ? [
          `${packed} weights are written as floats: ${form === 'hf' ? 'transformers' : 'GGUF'} has no such format`,
        ]
      : [];
  if (form === 'hf') {
    const { exportHf } = await import('../../models/checkpoint/export-hf.ts');
    return { files: exportHf(model, folder, file), notes };
  }
  const { exportGguf } = await import('../../models/checkpoint/export-gguf.ts');
  const said = await exportGguf(model, path.join(folder, 'model.gguf'), file);
  return { files: ['model.gguf'], notes: [...notes, ...said] };
};

const merged = async (form: Form, request: ExportRequest): Promise<Result<Exported, Missing>> => {
  const base = await baseOf(request);
  if (!base.ok) return base;
  return foreseen(async () => {
    const { openModel } = await import('../../models/model.ts');
    const { mergeAdapter } = await import('../../models/export/merge.ts');
    const { readAdapter } = await import('../../models/peft-files.ts');
    const { artifact } = request.found;
    const adapter = readAdapter({
      config: artifact.file('adapter_config.json'),
      weights: artifact.file('adapter_model.safetensors'),
    });
    const scratch = mkdtempSync(path.join(tmpdir(), 'mesa-merge-'));
    try {
      const { model, changed, dtypes } = mergeAdapter(openModel(base.value), adapter, scratch);
      const { files, notes } = await write(form, model, base.value, request.folder);
      const said = `the adapter is merged into ${count(changed, 'matrix', 'matrices')} (${[...dtypes.keys()].join(', ')})`;
      return { files, notes: [said, ...notes] };
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
};

/** The model that the adapter was trained on, or that `--base` names. */
const baseOf = async ({
  project,
  name,
  found,
  base,
}: ExportRequest): Promise<Result<OpenArtifact, Missing>> => {
  if (base !== undefined) {
    const named = await findArtifact(project, base);
    if (!named.ok) return named;
    return named.value.output.kind === 'model'
      ? ok(named.value.artifact)
      : err({ message: `--base ${base} is a ${named.value.output.kind}, not a model` });
  }
  const [trainedOn] = inputsAt(project, found, 'model');
  return trainedOn === undefined
    ? err({
        message: `${name} doesn't say which model it belongs to`,
        hint: 'name the model it is merged into: --base RUN/STEP',
      })
    : openArtifact(project, trainedOn.output);
};

/** What is wrong with a checkpoint, config or adapter is the user's to mend; anything else is a bug. */
const foreseen = async (work: () => Promise<Exported>): Promise<Result<Exported, Missing>> => {
  const { CheckpointError } = await import('../../models/checkpoint/error.ts');
  const { ConfigError } = await import('../../models/config-json.ts');
  const { AdapterError } = await import('../../models/lora.ts');
  try {
    return ok(await work());
  } catch (error) {
    if (error instanceof CheckpointError)
      return err({
        message: error.message,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    if (error instanceof ConfigError || error instanceof AdapterError)
      return err({ message: error.message });
    throw error;
  }
};
