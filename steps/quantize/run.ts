// Runs quantize: streams the model's tensors into one packed file and writes model.json for it.

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StepError, type StepContext } from '../../engine/step.ts';
import type { ModelDocument } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { sha256OfFile } from '../../models/checkpoint/digest.ts';
import { openModel } from '../../models/model.ts';
import {
  NothingToQuantize,
  quantizeModel,
  type QuantizeFormat,
  type QuantizeResult,
} from '../../models/quantize/quantize-model.ts';
import { asStepErrors } from '../load-model/errors.ts';

const fileName = 'model.safetensors';

export const run = async (context: StepContext): Promise<void> =>
  asStepErrors(async () => {
    const { params } = context;
    const input = context.input('model');
    const model = openModel(input);
    const output = context.output('model');
    const format = params['format'] as QuantizeFormat;
    const doubleQuant = params['double_quant'] === true;
    const blockSize = Number(params['block_size'] ?? (format === 'int4' ? 32 : 64));
    const skipModules = (params['skip_modules'] ?? ['lm_head']) as readonly string[];
    const path = join(output.folder, fileName);
    const result = orRefuse(format, () =>
      quantizeModel(
        path,
        model.tensors(),
        model.config,
        { format, blockSize, doubleQuant, skipModules },
        (done, total, name) => {
          context.signal.throwIfAborted();
          context.progress({ unit: 'tensors', done, total, note: name });
        },
      ),
    );

    const { document } = model;
    const names = document.tokenizer.files;
    for (const name of names) copyFileSync(input.file(name), join(output.folder, name));
    const written: ModelDocument = {
      architecture: document.architecture,
      config: withQuantization(
        document.config as JsonObject,
        format,
        doubleQuant,
        // transformers never quantises a head that shares the embeddings; MESA writes it as floats for it.
        model.config.tied ? [...new Set([...skipModules, 'lm_head'])] : skipModules,
      ),
      checkpoint: {
        format: result.format,
        files: [{ name: fileName, ...(await sha256OfFile(path)) }],
      },
      tokenizer: { kind: document.tokenizer.kind, files: names },
      chat_template: document.chat_template,
      quantization: {
        format,
        ...(format === 'nf4' || format === 'fp4' ? { double_quant: doubleQuant } : {}),
        block_size: format.startsWith('q') ? 32 : format === 'int8' ? null : blockSize,
        activations: params['activations'] ?? 'float',
        skip_modules: skipModules,
        bytes_before: result.bytesBefore,
        bytes_after: result.bytesAfter,
        kept: result.kept,
        tensors: result.tensors.map((tensor) => ({
          name: tensor.name,
          relative_error: tensor.relativeError,
          largest_error: tensor.largestError,
          bytes_before: tensor.bytesBefore,
          bytes_after: tensor.bytesAfter,
        })),
      },
      dtype: document.dtype,
    };
    writeFileSync(join(output.folder, 'model.json'), `${JSON.stringify(written, null, 1)}\n`);
    report(context, format, result);
  });

/** `14 layers (model.layers.0.mlp.down_proj ...): rows of 88 values ...`, for each reason. */
const reasonsOf = (kept: QuantizeResult['kept']): string[] =>
  [...Map.groupBy(kept, ({ reason }) => reason)].map(([reason, layers]) =>
    layers.length === 1
      ? `${layers[0]?.name ?? ''}: ${reason}`
      : `${layers.length} layers (${layers[0]?.name ?? ''} ...): ${reason}`,
  );

const orRefuse = (format: QuantizeFormat, work: () => QuantizeResult): QuantizeResult => {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof NothingToQuantize)) throw error;
    throw new StepError(
      'E511',
      `no layer of this model can be ${format}: ${reasonsOf(error.kept).join('; ')}`,
      'nf4, fp4 and int8 take layers of any size',
    );
  }
};

/** The config as transformers wants it for a quantised checkpoint, where it can read one. */
const withQuantization = (
  config: JsonObject,
  format: QuantizeFormat,
  doubleQuant: boolean,
  skipModules: readonly string[],
): JsonObject => {
  if (format !== 'nf4' && format !== 'fp4' && format !== 'int8') return config;
  return {
    ...config,
    quantization_config: {
      quant_method: 'bitsandbytes',
      load_in_4bit: format !== 'int8',
      load_in_8bit: format === 'int8',
      bnb_4bit_quant_type: format === 'int8' ? 'fp4' : format,
      bnb_4bit_use_double_quant: doubleQuant,
      bnb_4bit_compute_dtype: 'float32',
      bnb_4bit_quant_storage: 'uint8',
      // llm_int8_threshold stays its default: transformers wants a float, and JSON from JavaScript has no 6.0.
      llm_int8_has_fp16_weight: false,
      llm_int8_enable_fp32_cpu_offload: false,
      llm_int8_skip_modules: skipModules,
    },
  };
};

const report = (
  context: StepContext,
  format: QuantizeFormat,
  { tensors, kept, bytesBefore, bytesAfter }: QuantizeResult,
): void => {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1);
  const worst = [...tensors].sort((a, b) => b.relativeError - a.relativeError);
  const mean = tensors.reduce((sum, { relativeError }) => sum + relativeError, 0) / tensors.length;
  context.measure('bytes_before', bytesBefore, 'bytes');
  context.measure('bytes_after', bytesAfter, 'bytes');
  context.report({
    kind: 'headline',
    text: `${format}: ${megabytes(bytesBefore)} -> ${megabytes(bytesAfter)} MB, mean error ${(100 * mean).toFixed(2)} %`,
  });
  context.report({
    kind: 'table',
    title: 'Tensors with the largest error',
    columns: ['tensor', 'relative error', 'largest error', 'bytes before', 'bytes after'],
    rows: worst
      .slice(0, 10)
      .map((tensor) => [
        tensor.name,
        tensor.relativeError,
        tensor.largestError,
        tensor.bytesBefore,
        tensor.bytesAfter,
      ]),
  });
  const refused = kept.filter(({ reason }) => reason !== 'skip_modules');
  for (const reason of reasonsOf(refused)) context.warn(`not quantised: ${reason}`);
};
