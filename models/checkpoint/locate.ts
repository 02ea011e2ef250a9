// Finds what makes up a model on disk: a folder in Hugging Face's layout, one GGUF file, or one safetensors file with
// its config beside it. It opens headers, never weights, and checks that config and tensors agree.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { modelConfig } from '../config.ts';
import { ConfigError } from '../config-json.ts';
import { ggufTokenizerFiles, ggufTokenizerKind } from '../tokenizer/gguf-tokenizer.ts';
import {
  templateOfConfig,
  tokenizerFileNames,
  tokenizerSource,
  type TokenizerSource,
} from '../tokenizer/load.ts';
import { openCheckpoint, type CheckpointFiles, type StoredTensors } from './checkpoint.ts';
import { CheckpointError } from './error.ts';
import { readWholeFile } from './file.ts';
import { configFromGguf } from './gguf-config.ts';
import { readGgufHeader } from './gguf.ts';
import { checkInventory, withoutAliases } from './inventory.ts';
import { readJsonObject, type JsonRecord } from './json.ts';
import { readIndex, shardsOf } from './sharded.ts';

export interface LocatedModel {
  readonly config: JsonRecord;
  readonly checkpoint: CheckpointFiles;
  readonly tensors: StoredTensors;
  readonly tokenizer: LocatedTokenizer;
}

export interface LocatedTokenizer {
  readonly kind: TokenizerSource | 'none';
  /** Files to copy, or (from GGUF) to write. */
  readonly files: readonly {
    readonly name: string;
    readonly content: { readonly path: string } | { readonly make: () => Uint8Array };
  }[];
  readonly chatTemplate: string | null;
}

/** `file` picks one GGUF of a folder that holds several. */
export const locateModel = (path: string, file?: string): LocatedModel => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new CheckpointError(path, 'does not exist');
  if (!stat.isDirectory()) return locateFile(path);
  if (file !== undefined) {
    if (basename(file) !== file)
      throw new CheckpointError(path, `file: ${file} must be a name inside the folder`);
    return locateFile(join(path, file));
  }
  const checkpoint = weightsOfFolder(path);
  return checkpoint.format === 'gguf'
    ? locateFile(checkpoint.files[0]?.path ?? path)
    : withConfig(path, checkpoint);
};

const locateFile = (path: string): LocatedModel => {
  const files = [{ name: basename(path), path }];
  if (path.endsWith('.gguf')) return locateGguf(path, { format: 'gguf', files, index: null });
  if (path.endsWith('.safetensors'))
    return withConfig(dirname(path), { format: 'safetensors', files, index: null });
  throw new CheckpointError(path, 'is neither a folder nor a .gguf or .safetensors file');
};

const locateGguf = (path: string, checkpoint: CheckpointFiles): LocatedModel => {
  const gguf = readGgufHeader(path);
  const config = configFromGguf(gguf);
  const template = gguf.metadata.get('tokenizer.chat_template');
  const has = gguf.metadata.has('tokenizer.ggml.tokens');
  return checked(path, config, checkpoint, {
    kind: has ? ggufTokenizerKind(gguf) : 'none',
    files: has ? ggufTokenizerFiles(gguf) : [],
    chatTemplate: typeof template === 'string' ? template : null,
  });
};

const withConfig = (folder: string, checkpoint: CheckpointFiles): LocatedModel => {
  const path = join(folder, 'config.json');
  if (!existsSync(path))
    throw new CheckpointError(folder, 'has no config.json', {
      hint: 'a model folder holds config.json beside its weights',
    });
  return checked(path, readJsonObject(path), checkpoint, locateTokenizer(folder));
};

const checked = (
  where: string,
  json: JsonRecord,
  checkpoint: CheckpointFiles,
  tokenizer: LocatedTokenizer,
): LocatedModel => {
  const config = configOf(where, json);
  const tensors = openCheckpoint(checkpoint, json);
  checkInventory(checkpoint.index ?? checkpoint.files[0]?.path ?? where, config, tensors);
  return { config: json, checkpoint, tensors: withoutAliases(config, tensors), tokenizer };
};

/** The config, with its own errors told as errors of its file. */
export const configOf = (where: string, json: JsonRecord): ReturnType<typeof modelConfig> => {
  try {
    return modelConfig(json);
  } catch (error) {
    if (error instanceof ConfigError) throw new CheckpointError(where, error.message);
    throw error;
  }
};

const weightsOfFolder = (folder: string): CheckpointFiles => {
  const has = (name: string): boolean => existsSync(join(folder, name));
  const single = (format: CheckpointFiles['format'], name: string): CheckpointFiles => ({
    format,
    files: [{ name, path: join(folder, name) }],
    index: null,
  });
  const sharded = (format: CheckpointFiles['format'], name: string): CheckpointFiles => {
    const index = join(folder, name);
    const files = shardsOf(readIndex(index)).map((shard) => ({
      name: shard,
      path: join(folder, shard),
    }));
    return { format, files, index };
  };
  if (has('model.safetensors')) return single('safetensors', 'model.safetensors');
  if (has('model.safetensors.index.json'))
    return sharded('safetensors', 'model.safetensors.index.json');
  if (has('pytorch_model.bin')) return single('torch', 'pytorch_model.bin');
  if (has('pytorch_model.bin.index.json')) return sharded('torch', 'pytorch_model.bin.index.json');
  const ggufs = readdirSync(folder).filter((name) => name.endsWith('.gguf'));
  const [gguf] = ggufs;
  if (gguf !== undefined && ggufs.length === 1) return single('gguf', gguf);
  if (ggufs.length > 1)
    throw new CheckpointError(folder, `holds several GGUF files: ${ggufs.sort().join(', ')}`, {
      hint: 'name one with `file:`',
    });
  throw new CheckpointError(
    folder,
    'holds no weights: no model.safetensors, pytorch_model.bin, index of either, or .gguf file',
  );
};

/** The tokenizer's files in a folder, or a single tokenizer.json. */
export const locateTokenizer = (path: string): LocatedTokenizer => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new CheckpointError(path, 'does not exist');
  if (path.endsWith('.gguf')) {
    throw new CheckpointError(path, 'a GGUF file can only be the tokenizer of its own weights', {
      hint: 'give a folder with tokenizer.json',
    });
  }
  const folder = stat.isDirectory() ? path : dirname(path);
  const found = tokenizerFileNames
    .map((name) => ({
      name,
      path: name === 'tokenizer.json' && !stat.isDirectory() ? path : join(folder, name),
    }))
    .filter((file) => existsSync(file.path));
  const config = found.find(({ name }) => name === 'tokenizer_config.json');
  const jinja = join(folder, 'chat_template.jinja');
  const template = existsSync(jinja)
    ? new TextDecoder().decode(readWholeFile(jinja))
    : config === undefined
      ? null
      : templateOfConfig(readJsonObject(config.path));
  const kind = tokenizerSource((name) => found.find((file) => file.name === name)?.path) ?? 'none';
  const files = found.map(({ name, path: from }) => ({ name, content: { path: from } }));
  return { kind, files, chatTemplate: template };
};
