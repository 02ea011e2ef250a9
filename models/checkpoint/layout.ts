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
import { join } from 'node:path';
import type { BlockFormatName } from '../quantize/blocks.ts';
import { packRows, packedForms, type PackedForm } from '../quantize/packed.ts';
import type { FileRange, Weight, WeightSource } from '../weights.ts';
import { OpenFiles } from './file.ts';
import {
  bytesOf,
  readSafetensorsHeader,
  writeSafetensors,
  type SafetensorsEntry,
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
 * stored: as packed, and 16-bit floats stay as they are.
 */
export type WeightMode = 'float32' | 'packed' | 'stored';

/** Raised when derived files would hold other bytes. */
const layoutVersion = 1;

/** How one tensor is offered, decided from its header alone. */
type Placement =
  | { readonly kind: 'mapped'; readonly dtype: 'float32' | 'float16' | 'bfloat16' }
  | { readonly kind: 'decoded' }
  | { readonly kind: 'blocks'; readonly format: BlockFormatName; readonly form: PackedForm };

const mappedDtypes = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

const isBlockFormat = (encoding: string): encoding is BlockFormatName =>
  Object.hasOwn(packedForms, encoding);

const place = (tensor: StoredTensor, mode: WeightMode): Placement => {
  const { encoding, arrangement, shape } = tensor;
  if (mode !== 'float32' && isBlockFormat(encoding) && shape.length === 2)
    return { kind: 'blocks', format: encoding, form: packedForms[encoding] };
  const unmoved = arrangement.kind === 'as-is';
  if (unmoved && encoding === 'F32') return { kind: 'mapped', dtype: 'float32' };
  if (unmoved && mode === 'stored' && (encoding === 'F16' || encoding === 'BF16'))
    return { kind: 'mapped', dtype: mappedDtypes[encoding] };
  return { kind: 'decoded' };
};

export interface WeightsInput {
  readonly tensors: StoredTensors;
  /** Names that mean another tensor (tied embeddings), alias -> name. */
  readonly aliases: ReadonlyMap<string, string>;
  /** SHA-256 of every file the tensors lie in: what derived files are named by. */
  readonly digests: readonly string[];
}

export const openWeights = (
  { tensors, aliases, digests }: WeightsInput,
  mode: WeightMode,
  derivedFolder: string,
): WeightSource => {
  const placements = new Map(
    [...tensors.values()].map((tensor) => [tensor.name, place(tensor, mode)] as const),
  );
  const entries = (files: OpenFiles): SafetensorsEntry[] =>
    [...tensors.values()].flatMap((tensor) => {
      const placement = placements.get(tensor.name);
      return placement === undefined ? [] : [...derivedEntries(tensor, placement, files)];
    });
  const derived = [...placements.values()].every(({ kind }) => kind === 'mapped')
    ? null
    : derive(join(derivedFolder, `${derivedName(tensors, digests, mode)}.safetensors`), entries);

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

const derivedName = (tensors: StoredTensors, digests: readonly string[], mode: string): string =>
  createHash('sha256')
    .update(
      JSON.stringify([
        'mesa-runtime-layout',
        layoutVersion,
        mode,
        digests,
        [...tensors.values()].map(({ name, storedName, shape, encoding, arrangement }) => [
          name,
          storedName,
          shape,
          encoding,
          arrangement,
        ]),
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
  }
};

function* derivedEntries(
  tensor: StoredTensor,
  placement: Placement,
  files: OpenFiles,
): Generator<SafetensorsEntry> {
  const { name, shape } = tensor;
  if (placement.kind === 'mapped') return;
  if (placement.kind === 'decoded') {
    yield {
      name,
      dtype: 'F32',
      shape,
      *chunks() {
        for (const piece of decodedRows(tensor, files)) yield bytesOf(piece);
      },
    };
    return;
  }
  const { format, form } = placement;
  const { bits, blockSize } = form;
  const [rows, columns] = rowsOf(shape);
  const blocks = columns / blockSize;
  // Each part reads the tensor again, so that none is held in memory while another is written.
  const part = (pick: (packed: ReturnType<typeof packRows>) => ArrayBufferView | null) =>
    function* (): Generator<Uint8Array> {
      for (const piece of storedRows(tensor, files)) {
        const bytesPerRow = tensor.data.bytes / rows;
        const view = pick(packRows(format, piece, piece.length / bytesPerRow, columns));
        if (view !== null) yield bytesOf(view);
      }
    };
  yield {
    name,
    dtype: 'U8',
    shape: [rows, blocks, (blockSize * bits) / 8],
    chunks: part(({ data }) => data),
  };
  yield {
    name: `${name}.scales`,
    dtype: 'F32',
    shape: [rows, blocks],
    chunks: part(({ scales }) => scales),
  };
  if (!form.offsets) return;
  yield {
    name: `${name}.offsets`,
    dtype: 'F32',
    shape: [rows, blocks],
    chunks: part(({ offsets }) => offsets),
  };
  if (bits === 4)
    yield {
      name: `${name}.zero_points`,
      dtype: 'U8',
      shape: [rows, Math.ceil(blocks / 2)],
      chunks: part(({ zeroPoints }) => zeroPoints),
    };
}

/** The derived file at `path`, made if it isn't there or isn't what it should be. */
const derive = (
  path: string,
  entries: (files: OpenFiles) => SafetensorsEntry[],
): SafetensorsFile => {
  using files = new OpenFiles();
  const wanted = entries(files);
  const present = readIfComplete(path, wanted);
  if (present !== null) return present;
  const folder = join(path, '..');
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(folder, '.making-'));
  try {
    const temporary = join(scratch, 'weights.safetensors');
    writeSafetensors(temporary, wanted, { format: 'mesa-runtime-layout' });
    renameSync(temporary, path);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return readSafetensorsHeader(path);
};

const readIfComplete = (
  path: string,
  wanted: readonly SafetensorsEntry[],
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
