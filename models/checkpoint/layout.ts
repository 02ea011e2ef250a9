// Weights as the runtime can map them. What already lies right is pointed at where it is; the rest is converted once,
// streaming, into a safetensors file in the folder for derived files, named by the content it was made from. Two
// processes may do so at once: each writes under a name of its own and renames.
//
//   checkpoint file   [norm F32][q Q4_1 ][embed Q8_0]          float32 tensors that need no rearranging: mapped
//                        |         |         |                 everything else, by mode:
//   derived file         |   [q, scales, offsets][embed ...]     float32: decoded; packed: blocks in MatMulNBits' layout
//   WeightSource      get(name) -> FileRange in one or the other

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BlockFormatName } from '../quantize/blocks.ts';
import { packRows, packedForms, type PackedForm } from '../quantize/packed.ts';
import type { FileRange, Weight, WeightSource } from '../weights.ts';
import { OpenFiles } from './file.ts';
import { int8Scales, unsignedCodes } from '../quantize/int8.ts';
import { floats, readAbsmax, type Quantized } from './quantized.ts';
import {
  readSafetensorsHeader,
  SafetensorsWriter,
  sideBySide,
  type DeclaredTensor,
  type SafetensorsFile,
} from './safetensors.ts';
import { CheckpointError } from './error.ts';
import {
  countOf,
  decodedRows,
  readTensor,
  rowsOf,
  storedRows,
  type StoredTensor,
} from './stored.ts';
import type { StoredTensors } from './checkpoint.ts';

/**
 * float32: every weight as float32. packed: quantised weights stay packed, other weights become float32.
 * stored: as packed, and 16-bit floats stay as they are (the graph casts them). unsigned: as stored, and int8 rows are
 * uint8, for processors whose products of uint8 and int8 are wrong (tensor/saturation.ts).
 */
export type WeightMode = 'float32' | 'packed' | 'stored' | 'unsigned';

/** Raised when derived files would hold other bytes. */
const layoutVersion = 2;

/** How one tensor is offered, decided from its header alone. */
type Placement =
  | { readonly kind: 'mapped'; readonly dtype: 'float32' | 'float16' | 'bfloat16' }
  | { readonly kind: 'decoded' }
  | { readonly kind: 'blocks'; readonly format: BlockFormatName; readonly form: PackedForm }
  /** Codes are mapped where they are; their scales too, or in the derived file where they need computing. */
  | { readonly kind: 'quantized'; readonly quantized: Quantized }
  /** int8 rows as uint8: codes and scales in the derived file. */
  | { readonly kind: 'unsigned'; readonly absmax: FileRange };

const mappedDtypes = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

const isBlockFormat = (encoding: string): encoding is BlockFormatName =>
  Object.hasOwn(packedForms, encoding);

const place = (tensor: StoredTensor, mode: WeightMode): Placement => {
  const { encoding, arrangement, shape, quantized } = tensor;
  if (quantized !== null) {
    if (mode === 'float32') return { kind: 'decoded' };
    return mode === 'unsigned' && quantized.kind === 'int8'
      ? { kind: 'unsigned', absmax: quantized.absmax }
      : { kind: 'quantized', quantized };
  }
  if (mode !== 'float32' && isBlockFormat(encoding) && shape.length === 2)
    return { kind: 'blocks', format: encoding, form: packedForms[encoding] };
  const unmoved = arrangement.kind === 'as-is';
  if (unmoved && encoding === 'F32') return { kind: 'mapped', dtype: 'float32' };
  const keeps = mode === 'stored' || mode === 'unsigned';
  if (unmoved && keeps && (encoding === 'F16' || encoding === 'BF16'))
    return { kind: 'mapped', dtype: mappedDtypes[encoding] };
  return { kind: 'decoded' };
};

/** Bytes of memory that a tensor takes once it is loaded for products: 16-bit floats have become float32 then. */
export const loadedBytes = (tensor: StoredTensor, mode: WeightMode): number => {
  const placement = place(tensor, mode);
  const count = countOf(tensor.shape);
  switch (placement.kind) {
    case 'mapped':
    case 'decoded':
      return 4 * count;
    case 'blocks': {
      const { bits, blockSize, offsets } = placement.form;
      return (count * bits) / 8 + (count / blockSize) * (offsets ? 8.5 : 4);
    }
    case 'quantized':
    case 'unsigned':
      return tensor.data.bytes + 4 * (tensor.shape[0] ?? 0) + derivedScaleBytes(tensor);
  }
};

/** Of formats with a scale for each block. */
const derivedScaleBytes = ({ quantized, shape }: StoredTensor): number =>
  quantized === null || quantized.kind === 'int8' ? 0 : (4 * countOf(shape)) / quantized.blockSize;

export interface WeightsInput {
  readonly tensors: StoredTensors;
  /** Names that mean another tensor (tied embeddings), alias -> name. */
  readonly aliases: ReadonlyMap<string, string>;
  /** SHA-256 of every file the tensors lie in: what derived files are named by. */
  readonly digests: readonly string[];
}

export const openWeights = (
  { tensors, aliases, digests }: WeightsInput,
  wanted: WeightMode,
  derivedFolder: string,
): WeightSource => {
  // Files that would hold the same have the same name.
  const mode = wanted === 'unsigned' && !hasInt8Rows(tensors) ? 'stored' : wanted;
  const placements = new Map(
    [...tensors.values()].map((tensor) => [tensor.name, place(tensor, mode)] as const),
  );
  const parts = [...tensors.values()].flatMap((tensor) => {
    const placement = placements.get(tensor.name);
    return placement === undefined ? [] : [derivedPart(tensor, placement)];
  });
  const path = join(derivedFolder, `${derivedName(tensors, digests, mode)}.safetensors`);
  const derived = parts.every(({ declared }) => declared.length === 0) ? null : derive(path, parts);

  const resolve = (name: string): StoredTensor | undefined =>
    tensors.get(aliases.get(name) ?? name);
  return {
    names: [...new Set([...tensors.keys(), ...aliases.keys()])].sort(),
    get(name) {
      const tensor = resolve(name);
      const placement = tensor && placements.get(tensor.name);
      return tensor && placement && toWeight(tensor, placement, derived);
    },
    read(name) {
      const tensor = resolve(name);
      if (tensor === undefined) throw new Error(`the checkpoint has no tensor ${name}`);
      using files = new OpenFiles();
      return readTensor(tensor, files);
    },
  };
};

export const hasInt8Rows = (tensors: StoredTensors): boolean =>
  [...tensors.values()].some(({ quantized }) => quantized?.kind === 'int8');

const derivedName = (tensors: StoredTensors, digests: readonly string[], mode: string): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        'mesa-runtime-layout',
        layoutVersion,
        mode,
        digests,
        [...tensors.values()].map(
          ({ name, storedName, shape, encoding, arrangement, quantized }) => [
            name,
            storedName,
            shape,
            encoding,
            arrangement,
            quantized?.kind,
          ],
        ),
      ]),
    )
    .digest('hex');

const toWeight = (
  tensor: StoredTensor,
  placement: Placement,
  derived: SafetensorsFile | null,
): Weight => {
  const { name, shape } = tensor;
  const range = (part: string): FileRange => {
    const found = derived?.tensors.get(part);
    if (found === undefined) throw new Error(`the runtime layout lacks ${part}`);
    return found.data;
  };
  switch (placement.kind) {
    case 'mapped':
      return { kind: 'float', dtype: placement.dtype, shape, data: tensor.data };
    case 'decoded':
      return { kind: 'float', dtype: 'float32', shape, data: range(name) };
    case 'blocks': {
      const { bits, blockSize, offsets } = placement.form;
      return {
        kind: 'blocks',
        bits,
        blockSize,
        shape: [shape[0] ?? 0, shape[1] ?? 0],
        data: range(name),
        scales: range(`${name}.scales`),
        zeroPoints: offsets && bits === 4 ? range(`${name}.zero_points`) : null,
        offsets: offsets ? range(`${name}.offsets`) : null,
      };
    }
    case 'quantized':
      return quantizedWeight(tensor, placement.quantized, range);
    case 'unsigned':
      return {
        kind: 'int8-rows',
        codes: 'uint8',
        shape: [shape[0] ?? 0, shape[1] ?? 0],
        data: range(name),
        scales: range(`${name}.scales`),
      };
  }
};

const quantizedWeight = (
  { name, shape, data }: StoredTensor,
  quantized: Quantized,
  derived: (part: string) => FileRange,
): Weight => {
  const matrix = [shape[0] ?? 0, shape[1] ?? 0] as const;
  switch (quantized.kind) {
    case 'bnb4': {
      const { type, blockSize, absmax } = quantized;
      const ready = absmax.kind === 'float32' ? absmax.data : derived(`${name}.absmax`);
      return { kind: 'bnb4', type, blockSize, shape: matrix, data, absmax: ready };
    }
    case 'int8':
      return {
        kind: 'int8-rows',
        codes: 'int8',
        shape: matrix,
        data,
        scales: derived(`${name}.scales`),
      };
    case 'int4':
      return {
        kind: 'blocks',
        bits: 4,
        blockSize: quantized.blockSize,
        shape: matrix,
        data,
        scales: quantized.scales,
        zeroPoints: null,
        offsets: null,
      };
  }
};

/** What the derived file holds of one tensor. */
interface DerivedPart {
  readonly declared: readonly DeclaredTensor[];
  write(writer: SafetensorsWriter, files: OpenFiles): void;
}

const nothing: DerivedPart = { declared: [], write: () => undefined };

const derivedPart = (tensor: StoredTensor, placement: Placement): DerivedPart => {
  const { name, shape } = tensor;
  switch (placement.kind) {
    case 'mapped':
      return nothing;
    case 'decoded':
      return {
        declared: [{ name, dtype: 'F32', shape }],
        write: (writer, files) => {
          for (const piece of decodedRows(tensor, files)) writer.write(name, piece);
        },
      };
    case 'blocks':
      return derivedBlocks(tensor, placement.format, placement.form);
    case 'quantized':
      return derivedScales(tensor, placement.quantized);
    case 'unsigned':
      return derivedUnsigned(tensor, placement.absmax);
  }
};

const derivedBlocks = (
  tensor: StoredTensor,
  format: BlockFormatName,
  { bits, blockSize, offsets: hasOffsets }: PackedForm,
): DerivedPart => {
  const { name, shape, data } = tensor;
  const [rows, columns] = rowsOf(shape);
  const blocks = columns / blockSize;
  const scales: DeclaredTensor = { name: `${name}.scales`, dtype: 'F32', shape: [rows, blocks] };
  const offsets: DeclaredTensor = { ...scales, name: `${name}.offsets` };
  const zeroPoints: DeclaredTensor = {
    name: `${name}.zero_points`,
    dtype: 'U8',
    shape: [rows, Math.ceil(blocks / 2)],
  };
  return {
    declared: [
      { name, dtype: 'U8', shape: [rows, blocks, (blockSize * bits) / 8] },
      scales,
      ...(hasOffsets ? [offsets] : []),
      ...(hasOffsets && bits === 4 ? [zeroPoints] : []),
    ],
    write: (writer, files) => {
      for (const piece of storedRows(tensor, files)) {
        const packed = packRows(format, piece, piece.length / (data.bytes / rows), columns);
        writer.write(name, packed.data);
        writer.write(scales.name, packed.scales);
        if (packed.offsets !== null) writer.write(offsets.name, packed.offsets);
        if (packed.zeroPoints !== null) writer.write(zeroPoints.name, packed.zeroPoints);
      }
    },
  };
};

const derivedScales = ({ name, shape }: StoredTensor, quantized: Quantized): DerivedPart => {
  const count = countOf(shape);
  if (quantized.kind === 'bnb4' && quantized.absmax.kind === 'nested') {
    const { absmax, blockSize } = quantized;
    return {
      declared: [{ name: `${name}.absmax`, dtype: 'F32', shape: [Math.ceil(count / blockSize)] }],
      write: (writer, files) => writer.write(`${name}.absmax`, readAbsmax(absmax, files)),
    };
  }
  return quantized.kind === 'int8' ? derivedInt8Scales(name, shape, quantized.absmax) : nothing;
};

const derivedInt8Scales = (
  name: string,
  shape: readonly number[],
  absmax: FileRange,
): DerivedPart => ({
  declared: [{ name: `${name}.scales`, dtype: 'F32', shape: [shape[0] ?? 0] }],
  write: (writer, files) => writer.write(`${name}.scales`, int8Scales(floats(absmax, files))),
});

const derivedUnsigned = (tensor: StoredTensor, absmax: FileRange): DerivedPart => {
  const { name, shape } = tensor;
  const scales = derivedInt8Scales(name, shape, absmax);
  return {
    declared: [{ name, dtype: 'U8', shape }, ...scales.declared],
    write: (writer, files) => {
      for (const piece of storedRows(tensor, files)) writer.write(name, unsignedCodes(piece));
      scales.write(writer, files);
    },
  };
};

/** The derived file at `path`, made if it isn't there or isn't what it should be. */
const derive = (path: string, parts: readonly DerivedPart[]): SafetensorsFile => {
  const declared = sideBySide(parts.map((part) => part.declared));
  const present = readIfComplete(path, declared);
  if (present !== null) return present;
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, '.making-'));
  try {
    const temporary = join(scratch, 'weights.safetensors');
    using files = new OpenFiles();
    using writer = new SafetensorsWriter(temporary, declared, {
      metadata: { format: 'mesa-runtime-layout' },
      order: 'declared',
    });
    for (const part of parts) part.write(writer, files);
    writer.finish();
    renameSync(temporary, path);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return readSafetensorsHeader(path);
};

const readIfComplete = (
  path: string,
  wanted: readonly DeclaredTensor[],
): SafetensorsFile | null => {
  if (!existsSync(path)) return null;
  try {
    const file = readSafetensorsHeader(path);
    const same =
      file.tensors.size === wanted.length &&
      wanted.every(({ name, dtype, shape }) => {
        const found = file.tensors.get(name);
        return found?.dtype === dtype && countOf(found.shape) === countOf(shape);
      });
    return same ? file : null;
  } catch (error) {
    // A damaged file is made again; anything else is a bug.
    if (error instanceof CheckpointError) return null;
    throw error;
  }
};
