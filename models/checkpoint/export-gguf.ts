// A model as one GGUF file that llama.cpp reads: names, rows of q and k interleaved, metadata, tokenizer. Blocks of
// GGUF formats are copied as they are; other quantised weights are written as float32.

import type { ModelConfig } from '../config.ts';
import type { Model } from '../model.ts';
import {
  ggufSentencePiece,
  ggufTokenizerSettings,
  ggufVocabulary,
} from '../tokenizer/gguf-vocabulary.ts';
import { tiktokenJson } from '../tokenizer/tiktoken.ts';
import { byteLevelJson, withDefaultTokens } from '../tokenizer/vocab-merges.ts';
import { CheckpointError } from './error.ts';
import { encodings, type EncodingName } from './encoding.ts';
import { OpenFiles, readWholeFile } from './file.ts';
import { llama3Factors, ropeFactors } from './gguf-config.ts';
import { ggufNotes, ggufObstacle } from './gguf-limits.ts';
import { writeGguf, type GgufEntry, type GgufMetadata } from './gguf-writer.ts';
import { readJsonObject, type JsonRecord } from './json.ts';
import { ggufArchitectures, toGgufName, type GgufArchitecture } from './names.ts';
import { bytesOf } from './safetensors.ts';
import { decodedRows, storedRows, type StoredTensor } from './stored.ts';

/** `file` gives the path of one of the model's own files (its tokenizer). Returns notes for who runs the file. */
export const exportGguf = async (
  model: Model,
  path: string,
  file: (name: string) => string,
): Promise<readonly string[]> => {
  const { config, document } = model;
  // Mistral and Mixtral are llama to llama.cpp, but for windows and experts.
  const name = config.modelType === 'mistral' ? 'llama' : config.modelType;
  const architecture = ggufArchitectures[name];
  if (architecture === undefined || config.mlp.experts !== null)
    throw new CheckpointError(path, `${config.modelType} models are not written as GGUF`);
  const obstacle = ggufObstacle(config);
  if (obstacle !== null) throw new CheckpointError(path, `cannot hold this model: it ${obstacle}`);
  const metadata = new Map<string, GgufMetadata>([
    ['general.architecture', { type: 'string', value: name }],
    ...configMetadata(name, config),
  ]);
  const tokenizer = await model.tokenizer();
  if (tokenizer !== null) {
    const vocabulary = vocabularyOf(path, document, file);
    for (const [key, value] of [...vocabulary, ...ggufTokenizerSettings(tokenizer)])
      metadata.set(key, value);
  }
  using files = new OpenFiles();
  const entries = [...model.tensors().values()].map((tensor) =>
    entryOf(architecture, config, tensor, files),
  );
  const factors = ropeFactorEntry(config);
  if (factors !== null) entries.push(factors);
  const encoding = mostBytes(entries);
  const fileType = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, BF16: 32 }[encoding as string];
  if (fileType !== undefined)
    metadata.set('general.file_type', { type: 'uint32', value: fileType });
  writeGguf(path, metadata, entries);
  return ggufNotes(config);
};

const vocabularyOf = (
  path: string,
  { architecture, config, tokenizer: { kind, files } }: Model['document'],
  file: (name: string) => string,
): ReadonlyMap<string, GgufMetadata> => {
  const json = (name: string): JsonRecord =>
    files.includes(name) ? readJsonObject(file(name)) : {};
  const names = { ...json('special_tokens_map.json'), ...json('tokenizer_config.json') };
  switch (kind) {
    case 'sentencepiece':
      return ggufSentencePiece(file('tokenizer.model'), readWholeFile(file('tokenizer.model')));
    case 'tiktoken': {
      const { json: made } = tiktokenJson({
        path: file('tokenizer.model'),
        bytes: readWholeFile(file('tokenizer.model')),
        config: names,
        modelType: architecture,
        vocabSize: config['vocab_size'],
      });
      return ggufVocabulary(file('tokenizer.model'), made);
    }
    case 'tokenizer.json':
      return ggufVocabulary(file('tokenizer.json'), json('tokenizer.json'));
    case 'vocab+merges': {
      const vocab = new Map(
        Object.entries(json('vocab.json')).map(([token, id]) => [token, Number(id)]),
      );
      const added = Object.entries(json('added_tokens.json'));
      const merges = new TextDecoder().decode(readWholeFile(file('merges.txt')));
      const full = byteLevelJson(
        vocab,
        merges,
        withDefaultTokens(names, vocab),
        new Map(added.map(([token, id]) => [token, Number(id)])),
      );
      return ggufVocabulary(file('vocab.json'), full);
    }
    default:
      throw new CheckpointError(path, `cannot hold a tokenizer of the kind ${kind}`);
  }
};

const configMetadata = (name: string, config: ModelConfig): [string, GgufMetadata][] => {
  const { attention, norm, positions } = config;
  const integer = (key: string, value: number): [string, GgufMetadata] => [
    `${name}.${key}`,
    { type: 'uint32', value },
  ];
  const float = (key: string, value: number): [string, GgufMetadata] => [
    `${name}.${key}`,
    { type: 'float32', value },
  ];
  const pairs = [
    integer('context_length', config.maxPositions),
    integer('embedding_length', config.hiddenSize),
    integer('block_count', config.layers),
    integer('feed_forward_length', config.mlp.size),
    integer('attention.head_count', attention.heads),
    integer('attention.head_count_kv', attention.kvHeads),
    integer('vocab_size', config.vocabSize),
    float(
      norm.kind === 'rms' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon',
      norm.eps,
    ),
  ];
  if (attention.headDim * attention.heads !== config.hiddenSize)
    pairs.push(
      integer('attention.key_length', attention.headDim),
      integer('attention.value_length', attention.headDim),
    );
  if (config.modelType === 'gemma2')
    pairs.push(
      float('attn_logit_softcapping', attention.softcap ?? 0),
      float('final_logit_softcapping', config.finalSoftcap ?? 0),
    );
  if (positions.kind !== 'rope') return pairs;
  const { scaling } = positions.rope;
  pairs.push(
    float('rope.freq_base', positions.rope.theta),
    integer('rope.dimension_count', positions.rope.dim),
  );
  if (scaling.kind === 'linear')
    pairs.push(
      [`${name}.rope.scaling.type`, { type: 'string', value: 'linear' }],
      float('rope.scaling.factor', scaling.factor),
    );
  const [window] = attention.windows;
  if (window !== null && window !== undefined)
    pairs.push(integer('attention.sliding_window', window));
  return pairs;
};

/** Llama 3's scaling is a tensor there. */
const ropeFactorEntry = ({ positions, attention }: ModelConfig): GgufEntry | null => {
  if (positions.kind !== 'rope' || positions.rope.scaling.kind !== 'llama3') return null;
  const { theta, scaling } = positions.rope;
  const count = attention.headDim / 2;
  const values = llama3Factors(
    {
      factor: scaling.factor,
      low: scaling.lowFrequencyFactor,
      high: scaling.highFrequencyFactor,
      original: scaling.originalPositions,
    },
    theta,
    count,
  );
  const shape = [count];
  return { name: ropeFactors, shape, encoding: 'F32', chunks: () => [bytesOf(values)] };
};

const mostBytes = (entries: readonly GgufEntry[]): EncodingName => {
  const values = new Map<EncodingName, number>();
  for (const { encoding, shape } of entries) {
    // Embeddings often keep more bits than the model is named by.
    const count = shape.length < 2 ? 0 : 1;
    values.set(encoding, (values.get(encoding) ?? 0) + count);
  }
  const [most] = [...values].sort((a, b) => b[1] - a[1]);
  return most?.[0] ?? 'F32';
};

const entryOf = (
  architecture: GgufArchitecture,
  { attention }: ModelConfig,
  tensor: StoredTensor,
  files: OpenFiles,
): GgufEntry => {
  const heads = { heads: attention.heads, kvHeads: attention.kvHeads };
  const named = toGgufName(architecture, tensor.name, heads);
  if (named === null)
    throw new CheckpointError(tensor.data.path, 'has no name in GGUF', { tensor: tensor.name });
  const { arrangement } = named;
  // A bias is a column of as many rows as its matrix has.
  const [rows = 1] = tensor.shape;
  // llama.cpp keeps vectors in float32.
  const copies =
    tensor.quantized === null &&
    tensor.shape.length > 1 &&
    arrangement.kind !== 'plus-one' &&
    (tensor.arrangement.kind === 'as-is' || tensor.arrangement.kind === 'interleaved') &&
    (encodings[tensor.encoding].values > 1 || ['F16', 'BF16'].includes(tensor.encoding));
  return {
    name: named.name,
    shape: tensor.shape,
    encoding: copies ? tensor.encoding : 'F32',
    *chunks() {
      const pieces = copies
        ? storedRows(tensor, files)
        : mapPieces(decodedRows(tensor, files), arrangement.kind === 'plus-one' ? 1 : 0);
      if (arrangement.kind !== 'interleaved') yield* pieces;
      else yield interleaveHalves(joined([...pieces]), arrangement.heads, rows);
    },
  };
};

function* mapPieces(pieces: Iterable<Float32Array>, add: number): Generator<Uint8Array> {
  for (const piece of pieces) yield bytesOf(add === 0 ? piece : piece.map((value) => value + add));
}

const joined = (pieces: readonly Uint8Array[]): Uint8Array => Buffer.concat(pieces);

/** Row half * n/2 + i of a head becomes its row 2i + half. */
const interleaveHalves = (bytes: Uint8Array, heads: number, rows: number): Uint8Array => {
  const rowBytes = bytes.length / rows;
  const perHead = rows / heads;
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % perHead;
    const half = Math.floor(inHead / (perHead / 2));
    const target = row - inHead + 2 * (inHead % (perHead / 2)) + half;
    out.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), target * rowBytes);
  }
  return out;
};
