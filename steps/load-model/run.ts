// Runs load-model: finds the files, checks that they fit together, writes model.json beside references to them.

import { copyFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { OutputArtifact, StepContext } from '../../engine/step.ts';
import type { ModelDocument } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import {
  configOf,
  locateModel,
  locateTokenizer,
  type LocatedModel,
  type LocatedTokenizer,
} from '../../models/checkpoint/locate.ts';
import { openCheckpoint } from '../../models/checkpoint/checkpoint.ts';
import {
  randomCheckpointBytes,
  writeRandomCheckpoint,
} from '../../models/checkpoint/initialise.ts';
import { sha256OfFile } from '../../models/checkpoint/digest.ts';
import { checkFinite } from '../../models/checkpoint/finite.ts';
import type { JsonRecord } from '../../models/checkpoint/json.ts';
import { countOf } from '../../models/checkpoint/stored.ts';
import { loadTokenizer } from '../../models/tokenizer/load.ts';
import { requireSpace } from '../memory.ts';
import { asStepErrors } from './errors.ts';
import { placeHubFolder, type PlacedFolder } from '../hub-files.ts';

export const run = async (context: StepContext): Promise<void> =>
  asStepErrors(async () => {
    const { params } = context;
    const output = context.output('model');
    const placed = params['source'] === 'hub' ? await placeHubFolder(context) : null;
    const model = locate(context, output, placed);
    const total = model.tensors.size;
    checkFinite(model.tensors.values(), (done, name) => {
      context.signal.throwIfAborted();
      context.progress({ unit: 'tensors', done, total, note: `checking ${name}` });
    });
    const files = [];
    for (const { name, path } of model.checkpoint.files) {
      context.progress({ unit: 'files', done: files.length, total: null, note: `reading ${name}` });
      // What was made here lies in the artifact already.
      const origin = placed?.origin(path);
      const known =
        params['source'] === 'init'
          ? sha256OfFile(path)
          : output.reference(name, origin?.path ?? path, origin?.sha256);
      files.push({ name, ...(await known) });
    }
    const tokenizer = text(params, 'tokenizer');
    const located = tokenizer === undefined ? model.tokenizer : locateTokenizer(tokenizer);
    for (const { name, content } of located.files) {
      const target = join(output.folder, name);
      if ('path' in content) copyFileSync(content.path, target);
      else writeFileSync(target, content.make());
    }
    await checkTokenizer(located, output.folder, model);

    const document: ModelDocument = {
      architecture: String(model.config['model_type']),
      config: model.config as JsonObject,
      checkpoint: { format: model.checkpoint.format, files },
      tokenizer: { kind: located.kind, files: located.files.map(({ name }) => name) },
      chat_template: text(params, 'chat_template') ?? chatTemplate(located, model),
      quantization: null,
      dtype: text(params, 'dtype') ?? 'auto',
    };
    writeFileSync(join(output.folder, 'model.json'), `${JSON.stringify(document, null, 1)}\n`);
    describe(context, model);
  });

const text = (params: JsonObject, key: string): string | undefined => {
  const value = params[key];
  return typeof value === 'string' ? value : undefined;
};

/** A tokenizer that can't be read is told here, not by the first step that needs it. */
const checkTokenizer = async (
  { kind, files }: LocatedTokenizer,
  written: string,
  { config }: LocatedModel,
): Promise<void> => {
  if (kind === 'none') return;
  // By the path that the user knows, where the file was only copied.
  const paths = new Map(
    files.map(({ name, content }) => [
      name,
      'path' in content ? content.path : join(written, name),
    ]),
  );
  await loadTokenizer({
    file: (name) => paths.get(name),
    modelType: String(config['model_type']),
    modelEos: config['eos_token_id'],
    modelVocabSize: config['vocab_size'],
    chatTemplate: null,
  });
};

const chatTemplate = (tokenizer: LocatedTokenizer, model: LocatedModel): string | null =>
  tokenizer.chatTemplate ?? model.tokenizer.chatTemplate;

const locate = (
  { params, seed }: StepContext,
  output: OutputArtifact,
  placed: PlacedFolder | null,
): LocatedModel => {
  const file = text(params, 'file');
  if (placed !== null)
    return locateModel(placed.folder, file === undefined ? undefined : basename(file));
  if (params['source'] === 'init') return initialise(params['config'] as JsonRecord, seed, output);
  return locateModel(text(params, 'path') ?? '', file);
};

const initialise = (config: JsonRecord, seed: number, output: OutputArtifact): LocatedModel => {
  const path = join(output.folder, 'model.safetensors');
  const shape = configOf('config', config);
  requireSpace(
    output.folder,
    randomCheckpointBytes(shape),
    'a model of random weights with this config',
    'make the model smaller, or set MESA_CACHE_DIR to a larger disk',
  );
  writeRandomCheckpoint(path, config, shape, seed);
  const checkpoint = {
    format: 'safetensors',
    files: [{ name: 'model.safetensors', path }],
    index: null,
  } as const;
  return {
    config,
    checkpoint,
    tensors: openCheckpoint(checkpoint, config),
    tokenizer: { kind: 'none', files: [], chatTemplate: null },
  };
};

const describe = (context: StepContext, { config, tensors }: LocatedModel): void => {
  let parameters = 0;
  let bytes = 0;
  const formats = new Map<string, number>();
  for (const { shape, data, encoding, quantized } of tensors.values()) {
    const count = countOf(shape);
    parameters += count;
    bytes += data.bytes;
    const format = quantized?.kind === 'bnb4' ? quantized.type : (quantized?.kind ?? encoding);
    formats.set(format, (formats.get(format) ?? 0) + count);
  }
  // What most parameters are in: packed layers beside embeddings that take more bytes.
  const [most] = [...formats].sort((a, b) => b[1] - a[1]);
  const million = (parameters / 1e6).toFixed(parameters < 1e8 ? 1 : 0);
  context.measure('parameters', parameters, 'parameters');
  context.measure('weights', bytes, 'bytes');
  context.report({
    kind: 'headline',
    text: `${String(config['model_type'])}, ${million} M parameters, ${most?.[0] ?? ''}, ${Math.ceil(bytes / 1e6)} MB`,
  });
};
