// A model artifact as the library sees it: model.json, and behind it config, tokenizer and weights, each opened when
// it is asked for. It knows nothing of the engine; an InputArtifact has the shape it needs.

import { CheckpointError } from './checkpoint/error.ts';
import {
  aliasesOf,
  checkInventory,
  expectedTensors,
  withoutAliases,
} from './checkpoint/inventory.ts';
import { isRecord, readJsonObject, type JsonRecord } from './checkpoint/json.ts';
import {
  openCheckpoint,
  type CheckpointFiles,
  type StoredTensors,
} from './checkpoint/checkpoint.ts';
import { openWeights, type WeightMode } from './checkpoint/layout.ts';
import { modelConfig, type ModelConfig } from './config.ts';
import { loadTokenizer, type TokenizerSource } from './tokenizer/load.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';
import type { WeightSource } from './weights.ts';

export type { WeightMode } from './checkpoint/layout.ts';

/** Files of an artifact by relative name. */
export interface ArtifactFiles {
  readonly names: readonly string[];
  file(name: string): string;
}

/** The content of model.json. */
export interface ModelRecord {
  readonly architecture: string;
  /** config.json, in Hugging Face's keys. */
  readonly config: JsonRecord;
  readonly checkpoint: {
    readonly format: CheckpointFiles['format'];
    readonly files: readonly {
      readonly name: string;
      readonly size: number;
      readonly sha256: string;
    }[];
  };
  readonly tokenizer: {
    readonly kind: TokenizerSource | 'none';
    readonly files: readonly string[];
  };
  readonly chat_template: string | null;
  readonly quantization: JsonRecord | null;
  readonly dtype: string;
}

export interface Model {
  readonly document: ModelRecord;
  readonly config: ModelConfig;
  /** Null where the model has none (prompts then come as token ids). */
  tokenizer(): Promise<Tokenizer | null>;
  /** The tensors as they are stored, each once; none is read. Throws CheckpointError where files and config don't agree. */
  tensors(): StoredTensors;
  /**
   * The weights in the form the runtime maps. The first call with a mode may write a converted copy into `derived`
   * (StepContext.derived).
   */
  weights(mode: WeightMode, derived: string): WeightSource;
}

export const openModel = (artifact: ArtifactFiles): Model => {
  const path = artifact.file('model.json');
  const document = readModelRecord(path);
  const config = modelConfig(document.config);
  const { checkpoint, tokenizer } = document;
  const checkpointFiles: CheckpointFiles = {
    format: checkpoint.format,
    files: checkpoint.files.map(({ name }) => ({ name, path: artifact.file(name) })),
    index: null,
  };
  let opened: StoredTensors | undefined;
  // Headers are read and checked once, however many ask.
  const tensors = (): StoredTensors => (opened ??= open());
  const open = (): StoredTensors => {
    const found = openCheckpoint(checkpointFiles, document.config);
    checkInventory(checkpointFiles.files[0]?.path ?? path, config, found);
    return inOrder(withoutAliases(config, found), config);
  };
  return {
    document,
    config,
    tokenizer: async () => {
      const { kind, files } = tokenizer;
      if (kind === 'none') return null;
      return loadTokenizer({
        file: (name) => (files.includes(name) ? artifact.file(name) : undefined),
        modelType: document.architecture,
        modelEos: document.config['eos_token_id'],
        modelVocabSize: document.config['vocab_size'],
        chatTemplate: document.chat_template,
      });
    },
    tensors,
    weights: (mode, derived) =>
      openWeights(
        {
          tensors: tensors(),
          aliases: aliasesOf(config),
          digests: checkpoint.files.map(({ sha256 }) => sha256),
        },
        mode,
        derived,
      ),
  };
};

/** In the order of the model, whatever that of the files: what is written from it lies as it is used. */
const inOrder = (tensors: StoredTensors, config: ModelConfig): StoredTensors => {
  const first = [...expectedTensors(config).keys()].filter((name) => tensors.has(name));
  const names = new Set([...first, ...tensors.keys()]);
  return new Map(
    [...names].flatMap((name) => {
      const tensor = tensors.get(name);
      return tensor === undefined ? [] : [[name, tensor] as const];
    }),
  );
};

const formats = ['safetensors', 'gguf', 'torch', 'mesa'];
const tokenizerKinds = [
  'tokenizer.json',
  'vocab+merges',
  'fairseq',
  'sentencepiece',
  'tiktoken',
  'none',
];

/** model.json is written by MESA, but may be edited or of another version: its shape is checked before use. */
const readModelRecord = (path: string): ModelRecord => {
  const json = readJsonObject(path);
  const { checkpoint, tokenizer, config } = json;
  const good =
    isRecord(config) &&
    isRecord(checkpoint) &&
    formats.includes(String(checkpoint['format'])) &&
    Array.isArray(checkpoint['files']) &&
    checkpoint['files'].every(
      (file) =>
        isRecord(file) && typeof file['name'] === 'string' && typeof file['sha256'] === 'string',
    ) &&
    isRecord(tokenizer) &&
    tokenizerKinds.includes(String(tokenizer['kind'])) &&
    Array.isArray(tokenizer['files']);
  if (!good) throw new CheckpointError(path, 'is no model.json that this version of MESA reads');
  return json as unknown as ModelRecord;
};
