// Quantises a checkpoint, tensor by tensor: matrices of linear layers in the chosen format, everything else as it was.
// One tensor is in memory at a time. NF4, FP4 and int8 are written as bitsandbytes writes them (transformers loads
// such a file); the block formats as MESA's own (models/checkpoint/mesa-format.ts), and so are embeddings in int8, which
// bitsandbytes doesn't know: they are quantised where they are the head, too, and the head is wanted.

import { encodings, isEncoding } from '../checkpoint/encoding.ts';
import { OpenFiles } from '../checkpoint/file.ts';
import { mesaMetadata, type MesaTensor } from '../checkpoint/mesa-format.ts';
import {
  SafetensorsWriter,
  sideBySide,
  type DeclaredTensor,
  type SafetensorsDtype,
} from '../checkpoint/safetensors.ts';
import {
  countOf,
  decodedRows,
  readTensor,
  storedRows,
  type StoredTensor,
} from '../checkpoint/stored.ts';
import type { StoredTensors } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../config.ts';
import { headModule, linearModules, modelModules } from '../modules.ts';
import { formatOf, type QuantizeOptions, type TensorFormat } from './formats.ts';

export type { QuantizeFormat, QuantizeOptions } from './formats.ts';

export interface QuantizedTensorReport {
  readonly name: string;
  readonly shape: readonly number[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Root of the mean squared error, relative to that of the weights. */
  readonly relativeError: number;
  readonly largestError: number;
}

export interface QuantizeResult {
  /** Whether the file is plain bitsandbytes safetensors, or needs MESA to read it. */
  readonly format: 'safetensors' | 'mesa';
  readonly tensors: readonly QuantizedTensorReport[];
  /** Linear layers left as they were: skipped, or of a size that the format's blocks don't divide. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** No layer would change: a result that calls itself quantised would be the model as it was. */
export class NothingToQuantize extends Error {
  override readonly name = 'NothingToQuantize';
  readonly kept: QuantizeResult['kept'];
  constructor(kept: QuantizeResult['kept']) {
    super('no layer can be quantised');
    this.kept = kept;
  }
}

/** Called before each tensor: progress, and the moment to stop. */
export type OnTensor = (done: number, total: number, name: string) => void;

export const quantizeModel = (
  path: string,
  tensors: StoredTensors,
  config: ModelConfig,
  options: QuantizeOptions,
  onTensor: OnTensor,
): QuantizeResult => {
  const wanted = modulesToQuantize(config, options.skipModules);
  const { embeddings } = modelModules(config.modelType);
  const format = formatOf(options);
  const kept: { name: string; reason: string }[] = [...wanted.skipped].map((name) => ({
    name,
    reason: 'skip_modules',
  }));
  const described: Record<string, MesaTensor> = {};
  const plans = [...tensors.values()].map((tensor): Plan => {
    const module = tensor.name.replace(/\.weight$/, '');
    if (tensor.name.endsWith('.weight') && wanted.modules.has(module)) {
      const reason = format.refuses(tensor.shape, module === embeddings);
      if (reason === null) {
        const mesa = format.described?.(tensor.shape);
        if (mesa !== undefined) described[tensor.name] = mesa;
        return { tensor, declared: format.declare(tensor.name, tensor.shape), format };
      }
      kept.push({ name: module, reason });
    }
    const copied = copyOf(tensor);
    if (copied.described !== null) described[tensor.name] = copied.described;
    return { tensor, declared: [copied.declared], format: null };
  });

  if (plans.every(({ format: chosen }) => chosen === null)) throw new NothingToQuantize(kept);

  const isMesa =
    Object.keys(described).length > 0 ||
    plans.some((plan) => plan.format !== null && plan.tensor.name === `${embeddings}.weight`);
  using files = new OpenFiles();
  using writer = new SafetensorsWriter(path, sideBySide(plans.map(({ declared }) => declared)), {
    metadata: isMesa ? mesaMetadata(described) : { format: 'pt' },
    order: 'declared',
  });
  const reports: QuantizedTensorReport[] = [];
  for (const [done, plan] of plans.entries()) {
    const { tensor } = plan;
    onTensor(done, plans.length, tensor.name);
    if (plan.format === null) copy(tensor, writer, files);
    else {
      const values = readTensor(tensor, files);
      const restored = plan.format.write(tensor.name, tensor.shape, values, writer);
      reports.push({
        name: tensor.name,
        shape: tensor.shape,
        bytesBefore: tensor.data.bytes,
        bytesAfter: bytesOfAll(plan.declared),
        ...errorsOf(values, restored),
      });
    }
  }
  writer.finish();
  const sum = (bytes: readonly number[]): number => bytes.reduce((a, b) => a + b, 0);
  return {
    format: isMesa ? 'mesa' : 'safetensors',
    tensors: reports,
    kept,
    bytesBefore: sum([...tensors.values()].map(({ data }) => data.bytes)),
    bytesAfter: sum(plans.map(({ declared }) => bytesOfAll(declared))),
  };
};

interface Plan {
  readonly tensor: StoredTensor;
  readonly declared: readonly DeclaredTensor[];
  /** Null: copied. */
  readonly format: TensorFormat | null;
}

const dtypeBytes = (dtype: SafetensorsDtype): number =>
  dtype === 'F32' ? 4 : dtype === 'F16' || dtype === 'BF16' ? 2 : 1;

const bytesOfAll = (declared: readonly DeclaredTensor[]): number =>
  declared.reduce((sum, { dtype, shape }) => sum + countOf(shape) * dtypeBytes(dtype), 0);

const modulesToQuantize = (
  config: ModelConfig,
  skip: readonly string[],
): { readonly modules: ReadonlySet<string>; readonly skipped: readonly string[] } => {
  const head = headModule(config);
  const all = [...linearModules(config), head];
  const isSkipped = (module: string): boolean =>
    skip.some(
      (name) =>
        // `lm_head` means the head whatever the architecture calls it, and the embeddings where they are the head.
        (name === 'lm_head' && module === head) ||
        module === name ||
        module.endsWith(`.${name}`) ||
        module.startsWith(`${name}.`) ||
        module.includes(`.${name}.`),
    );
  return {
    modules: new Set(all.filter((module) => !isSkipped(module))),
    skipped: all.filter(isSkipped),
  };
};

/** How a tensor that isn't quantised here is written: as it lies where it can be, else as float32. */
const copyOf = (
  tensor: StoredTensor,
): { readonly declared: DeclaredTensor; readonly described: MesaTensor | null } => {
  const { name, shape, encoding, arrangement } = tensor;
  const stored = arrangement.kind === 'transposed' ? [...shape].reverse() : shape;
  if (!copiesBytes(tensor))
    return { declared: { name, dtype: 'F32', shape: stored }, described: null };
  if (encoding === 'F32' || encoding === 'F16' || encoding === 'BF16')
    return { declared: { name, dtype: encoding, shape: stored }, described: null };
  return {
    declared: { name, dtype: 'U8', shape: [tensor.data.bytes] },
    described: { shape, encoding },
  };
};

const copiesBytes = ({ encoding, arrangement, quantized }: StoredTensor): boolean =>
  quantized === null &&
  arrangement.kind !== 'plus-one' &&
  (['F32', 'F16', 'BF16'].includes(encoding) ||
    (isEncoding(encoding) && encodings[encoding].values > 1));

const copy = (tensor: StoredTensor, writer: SafetensorsWriter, files: OpenFiles): void => {
  const pieces = copiesBytes(tensor) ? storedRows(tensor, files) : decodedRows(tensor, files);
  for (const piece of pieces) writer.write(tensor.name, piece);
};

const errorsOf = (
  values: Float32Array,
  restored: Float32Array,
): { readonly relativeError: number; readonly largestError: number } => {
  let squares = 0;
  let errors = 0;
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    const error = value - (restored[i] ?? 0);
    squares += value * value;
    errors += error * error;
    if (Math.abs(error) > largest) largest = Math.abs(error);
  }
  return { relativeError: squares === 0 ? 0 : Math.sqrt(errors / squares), largestError: largest };
};
