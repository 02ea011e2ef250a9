// Which tensors a model of a given config has, with their shapes: what a checkpoint is checked against before
// anything is computed with it, and what random initialisation makes.

import type { ModelConfig } from '../config.ts';
import { modelModules, type MlpModules } from '../modules.ts';
import type { EncodingName } from './encoding.ts';
import { CheckpointError } from './error.ts';
import type { StoredTensor } from './stored.ts';

/** How Hugging Face's _init_weights starts the tensor. */
export type Initial = 'normal' | 'ones' | 'zeros';

export interface ExpectedTensor {
  readonly shape: readonly number[];
  readonly initial: Initial;
}

/** Every tensor of the model by name; the head is missing where it is tied to the embeddings. */
export const expectedTensors = (config: ModelConfig): ReadonlyMap<string, ExpectedTensor> => {
  const { hiddenSize, attention, mlp, norm } = config;
  const modules = modelModules(config.modelType);
  const tensors = new Map<string, ExpectedTensor>();
  const matrix = (module: string, shape: readonly number[]): void => {
    tensors.set(`${module}.weight`, { shape, initial: 'normal' });
  };
  const linear = (module: string, out: number, from: number, bias: boolean): void => {
    matrix(module, [out, from]);
    if (bias) tensors.set(`${module}.bias`, { shape: [out], initial: 'zeros' });
  };
  const normOf = (module: string, size: number): void => {
    // With an offset the stored weight is what is added to 1.
    tensors.set(`${module}.weight`, {
      shape: [size],
      initial: norm.offset === 1 ? 'zeros' : 'ones',
    });
    if (norm.kind === 'layer') tensors.set(`${module}.bias`, { shape: [size], initial: 'zeros' });
  };
  const mlpOf = ({ up, down }: MlpModules): void => {
    if (typeof up !== 'string') for (const each of up) linear(each, mlp.size, hiddenSize, mlp.bias);
    else linear(up, mlp.size * (mlp.gated ? 2 : 1), hiddenSize, mlp.bias);
    linear(down, hiddenSize, mlp.size, mlp.bias);
  };

  matrix(modules.embeddings, [config.vocabSize, hiddenSize]);
  if (config.positions.kind === 'learned')
    matrix(modules.positions, [config.maxPositions + config.positions.offset, hiddenSize]);
  const queries = attention.heads * attention.headDim;
  const keys = attention.kvHeads * attention.headDim;
  for (let index = 0; index < config.layers; index++) {
    const layer = modules.layer(index);
    normOf(layer.attentionNorm, hiddenSize);
    const { qkv } = layer.attention;
    if (typeof qkv === 'string') linear(qkv, queries + 2 * keys, hiddenSize, attention.bias.qkv);
    else
      for (const [i, name] of qkv.entries())
        linear(name, i === 0 ? queries : keys, hiddenSize, attention.bias.qkv);
    linear(layer.attention.output, hiddenSize, queries, attention.bias.output);
    if (attention.qkNorm) {
      normOf(layer.attention.qNorm, attention.headDim);
      normOf(layer.attention.kNorm, attention.headDim);
    }
    normOf(layer.mlpNorm, hiddenSize);
    if (config.postNorms) {
      normOf(layer.afterAttentionNorm, hiddenSize);
      normOf(layer.afterMlpNorm, hiddenSize);
    }
    if (mlp.experts === null) mlpOf(layer.mlp);
    else {
      matrix(layer.router, [mlp.experts.count, hiddenSize]);
      for (let expert = 0; expert < mlp.experts.count; expert++) mlpOf(layer.expert(expert));
    }
  }
  normOf(modules.finalNorm, hiddenSize);
  if (!config.tied) matrix(modules.head, [config.vocabSize, hiddenSize]);
  return tensors;
};

/** Names that mean another tensor: the tied head. */
export const aliasesOf = (config: ModelConfig): ReadonlyMap<string, string> => {
  const { head, embeddings } = modelModules(config.modelType);
  return new Map(config.tied ? [[`${head}.weight`, `${embeddings}.weight`]] : []);
};

/** Without what only repeats another tensor: nothing reads a tied head, so nothing shall copy or count it. */
export const withoutAliases = <Tensor>(
  config: ModelConfig,
  tensors: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Tensor> => {
  const aliases = aliasesOf(config);
  return new Map([...tensors].filter(([name]) => !aliases.has(name)));
};

/** Every expected tensor is there with its shape, and nothing else is. */
export const checkInventory = (
  where: string,
  config: ModelConfig,
  tensors: ReadonlyMap<string, StoredTensor>,
): void => {
  const expected = expectedTensors(config);
  const aliases = aliasesOf(config);
  const missing = [...expected.keys()].filter((name) => !tensors.has(name));
  if (missing.length > 0)
    throw new CheckpointError(where, `lacks ${listed(missing)}`, {
      hint: `the config says ${config.layers} layers of ${config.modelType}`,
    });
  for (const [name, tensor] of tensors) {
    const wanted = expected.get(name);
    // A tied checkpoint may hold the head as well; the embeddings are what is used, as in transformers.
    if (wanted === undefined && aliases.has(name)) continue;
    if (wanted === undefined)
      throw new CheckpointError(tensor.data.path, 'is no part of the model its config describes', {
        tensor: tensor.storedName,
      });
    // Codes whose scales are missing would be read as weights of up to 255.
    if (tensor.quantized === null && integers.has(tensor.encoding))
      throw new CheckpointError(
        tensor.data.path,
        `holds ${tensor.encoding} values and nothing that says how they mean weights`,
        {
          tensor: tensor.storedName,
          hint: 'a checkpoint of bitsandbytes has SCB (int8) or absmax and quant_state (4 bits) beside them',
        },
      );
    if (wanted.shape.join() !== tensor.shape.join())
      throw new CheckpointError(
        tensor.data.path,
        `has shape [${tensor.shape.join(', ')}], the config asks for [${wanted.shape.join(', ')}]`,
        { tensor: tensor.storedName },
      );
  }
};

const integers: ReadonlySet<EncodingName> = new Set(['I8', 'U8', 'I16', 'I32', 'I64', 'BOOL']);

const listed = (names: readonly string[]): string =>
  names.length <= 4
    ? names.join(', ')
    : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more tensors`;
