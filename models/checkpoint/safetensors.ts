// The safetensors format: reading headers of files that may lie, and writing files tensor by tensor.
// Offsets are checked against the file before anything is read or allocated; it knows nothing of models.
// Format: https://github.com/huggingface/safetensors#format (u64 header length, JSON header, data without holes).

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import type { FileRange } from '../weights.ts';
import { CheckpointError } from './error.ts';
import { BinaryFile } from './file.ts';
import { isRecord, parseJson, shown } from './json.ts';

/** Bytes per value. */
export const safetensorsDtypes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;
export type SafetensorsDtype = keyof typeof safetensorsDtypes;

export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: FileRange;
}

export interface SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/** The limit of the reference implementation. */
const maxHeaderBytes = 100_000_000;

export const readSafetensorsHeader = (path: string): SafetensorsFile => {
  using file = new BinaryFile(path);
  if (file.size < 8)
    throw new CheckpointError(path, `is no safetensors file: it has ${file.size} bytes`);
  const prefix = file.read(0, 8);
  const headerBytes = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (headerBytes > maxHeaderBytes || headerBytes > file.size - 8)
    throw new CheckpointError(
      path,
      `says its header has ${headerBytes} bytes, but the file has ${file.size}: truncated, or no safetensors file`,
    );
  const header = parseJson(path, file.read(8, headerBytes));
  if (!isRecord(header)) throw new CheckpointError(path, 'has a header that is no JSON object');

  const dataStart = 8 + headerBytes;
  const found: SafetensorsTensor[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') metadata = readMetadata(path, entry);
    else found.push(readEntry(path, name, entry, dataStart, file.size));
  }
  found.sort((a, b) => a.data.offset - b.data.offset || a.data.bytes - b.data.bytes);
  let end = dataStart;
  let previous = '';
  for (const tensor of found) {
    if (tensor.data.offset < end)
      throw new CheckpointError(path, `overlaps ${previous}`, { tensor: tensor.name });
    if (tensor.data.offset > end)
      throw new CheckpointError(
        path,
        `starts ${tensor.data.offset - end} bytes after what precedes it; the format allows no holes`,
        { tensor: tensor.name },
      );
    end = tensor.data.offset + tensor.data.bytes;
    previous = tensor.name;
  }
  if (end !== file.size)
    throw new CheckpointError(
      path,
      `has ${file.size - end} bytes after its last tensor: damaged header`,
    );
  return { path, metadata, tensors: new Map(found.map((tensor) => [tensor.name, tensor])) };
};

const readMetadata = (path: string, entry: unknown): Record<string, string> => {
  if (!isRecord(entry)) throw new CheckpointError(path, 'has __metadata__ that is no object');
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(entry)) {
    if (typeof value !== 'string')
      throw new CheckpointError(path, `has metadata ${JSON.stringify(key)} that is no string`);
    metadata.set(key, value);
  }
  return Object.fromEntries(metadata);
};

const isDtype = (value: unknown): value is SafetensorsDtype =>
  typeof value === 'string' && Object.hasOwn(safetensorsDtypes, value);

const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

const readEntry = (
  path: string,
  tensor: string,
  entry: unknown,
  dataStart: number,
  fileSize: number,
): SafetensorsTensor => {
  const fail = (message: string): never => {
    throw new CheckpointError(path, message, { tensor });
  };
  if (!isRecord(entry)) return fail('its header entry is no object');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) return fail(`has the unknown dtype ${shown(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize))
    return fail('has a shape that is no list of sizes');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    return fail('has data_offsets that are no pair of offsets');
  const [start, end] = offsets as [number, number];
  if (start > end || dataStart + end > fileSize)
    return fail(
      `lies at bytes ${start} to ${end} of the data, but the file has ${fileSize - dataStart}: truncated or damaged`,
    );
  const bytes = shape.reduce((a, b) => a * b, 1) * safetensorsDtypes[dtype];
  if (bytes !== end - start)
    return fail(
      `needs ${bytes} bytes for shape [${shape.join(', ')}] of ${dtype}, but has ${end - start}`,
    );
  return {
    name: tensor,
    dtype,
    shape: shape,
    data: { path, offset: dataStart + start, bytes },
  };
};

/** What a file to be written will hold. */
export interface DeclaredTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

export interface WriterOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Of values of the same size. Default: by name. */
  readonly order?: 'name' | 'declared';
}

/**
 * The first parts of all, then the second ones ...: with `order: declared`, the codes of neighbours are neighbours in
 * the file, and so are their scales (models/merged.ts).
 */
export const sideBySide = (
  parts: readonly (readonly DeclaredTensor[])[],
): readonly DeclaredTensor[] => {
  const most = Math.max(0, ...parts.map(({ length }) => length));
  return Array.from({ length: most }, (_, index) => parts.flatMap((of) => of[index] ?? [])).flat();
};

/**
 * Writes a file of declared tensors, each filled from its start to its end, in any order between them: a tensor whose
 * parts are computed together need not be computed twice. Tensors lie by value size (largest first, so that every one
 * is aligned), then in `order`; the same input gives the same bytes.
 */
export class SafetensorsWriter {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #regions = new Map<string, { position: number; readonly end: number }>();

  constructor(
    path: string,
    declared: readonly DeclaredTensor[],
    { metadata = {}, order = 'name' }: WriterOptions = {},
  ) {
    const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
    const ordered = [...declared].sort(
      (a, b) =>
        safetensorsDtypes[b.dtype] - safetensorsDtypes[a.dtype] ||
        (order === 'name' ? byName(a.name, b.name) : 0),
    );
    const header = new Map<string, unknown>();
    if (Object.keys(metadata).length > 0)
      header.set(
        '__metadata__',
        Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))),
      );
    let end = 0;
    for (const { name, dtype, shape } of ordered) {
      if (header.has(name)) throw new Error(`tensor ${name} is written twice`);
      const bytes = shape.reduce((a, b) => a * b, 1) * safetensorsDtypes[dtype];
      header.set(name, { dtype, shape, data_offsets: [end, end + bytes] });
      this.#regions.set(name, { position: end, end: end + bytes });
      end += bytes;
    }
    let text = Buffer.from(JSON.stringify(Object.fromEntries(header)));
    // Spaces up to a multiple of 64, so that the data is aligned for any kernel that maps it.
    text = Buffer.concat([text, Buffer.alloc((64 - ((8 + text.length) % 64)) % 64, ' ')]);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(text.length));

    this.#path = path;
    this.#descriptor = openSync(path, 'wx');
    const start = prefix.length + text.length;
    for (const [name, region] of this.#regions)
      this.#regions.set(name, { position: region.position + start, end: region.end + start });
    this.#put(prefix, 0);
    this.#put(text, prefix.length);
  }

  /** Appends to a tensor. */
  write(name: string, values: ArrayBufferView): void {
    const region = this.#regions.get(name);
    if (region === undefined) throw new Error(`tensor ${name} was not declared`);
    if (region.position + values.byteLength > region.end)
      throw new Error(`tensor ${name}: more bytes than declared`);
    this.#put(bytesOf(values), region.position);
    region.position += values.byteLength;
  }

  /** Checks that every tensor is full, and returns when all of it is on disk. */
  finish(): void {
    for (const [name, { position, end }] of this.#regions)
      if (position !== end)
        throw new Error(`${this.#path}: tensor ${name} lacks ${end - position} bytes`);
    fsyncSync(this.#descriptor);
  }

  #put(bytes: Uint8Array, position: number): void {
    let done = 0;
    while (done < bytes.length)
      done += writeSync(
        this.#descriptor,
        bytes,
        done,
        Math.min(bytes.length - done, 1 << 30),
        position + done,
      );
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

export interface SafetensorsEntry extends DeclaredTensor {
  /** The bytes in order, in pieces of any size; called once. */
  chunks(): Iterable<Uint8Array>;
}

/** Writes a whole file, holding one piece at a time. */
export const writeSafetensors = (
  path: string,
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>> = {},
): void => {
  using writer = new SafetensorsWriter(path, entries, { metadata });
  for (const entry of entries) for (const chunk of entry.chunks()) writer.write(entry.name, chunk);
  writer.finish();
};

/** The bytes of a typed array, for an entry's `chunks`. */
export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
