// Keys and values of the rows in work, as zero-copy inputs of the graph: for each layer two arrays
//
//     [places, kvHeads, capacity, headDim]        place = one row of the batch; position p of the row at index p
//
// A row fills its place from position 0; what lies beyond its length is masked and finite (zeros, or a former row's),
// so it adds exact zeros and a row's bits don't depend on the capacity, where cached and new keys are summed apart (the
// graphs that decode); graphs that only read are fed what is filled (prefill.ts). The graph returns only new positions;
// they are written here. Capacity grows in buckets, so that attention never runs over much more than the longest row.

import type { ModelConfig } from '../config.ts';
import type { Compute } from '../tensors.ts';
import { leastCapacity } from './steady.ts';

/** Capacity is a multiple of this: few different shapes, and at most 63 masked positions beyond the longest row. */
export const CAPACITY_BUCKET = 64;

export const bucketOf = (length: number): number =>
  Math.ceil(length / CAPACITY_BUCKET) * CAPACITY_BUCKET;

/** Numbers of float16 are held as their bits. */
export type CacheData = Float32Array | Uint16Array;

export interface CacheShape {
  readonly dtype: Compute;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** In memory that threads share (tensor/parted-session.ts). */
  readonly shared?: boolean;
}

/** Of a model whose keys and values are stored as `dtype`. */
export const cacheShapeOf = (
  { layers, attention: { kvHeads, headDim } }: ModelConfig,
  dtype: Compute,
): CacheShape => ({ dtype, layers, kvHeads, headDim });

const arrayOf = { float32: Float32Array, float16: Uint16Array } as const;

export const bytesPerToken = (shape: CacheShape): number =>
  2 * shape.layers * shape.kvHeads * shape.headDim * arrayOf[shape.dtype].BYTES_PER_ELEMENT;

export class KeyValueCache {
  readonly shape: CacheShape;
  readonly places: number;
  #capacity: number;
  /** Key of layer 0, value of layer 0, key of layer 1 ... */
  #arrays: CacheData[];

  constructor(shape: CacheShape, places: number, length: number) {
    this.shape = shape;
    this.places = places;
    this.#capacity = this.#roomFor(length);
    this.#arrays = this.#allocate(this.#capacity);
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** 2 * layers arrays; replaced when the capacity changes. */
  get arrays(): readonly CacheData[] {
    return this.#arrays;
  }

  /** Makes room for `length` positions; true when the arrays were replaced. */
  reserve(length: number): boolean {
    if (length <= this.#capacity) return false;
    this.#recut(this.#roomFor(length));
    return true;
  }

  /** Room for `length` positions and no more; true when the arrays were replaced. */
  resize(length: number): boolean {
    if (length === this.#capacity) return false;
    this.#recut(length);
    return true;
  }

  /** Gives memory back, and attention less to run over, when no row needs half of the capacity any more. */
  trim(length: number): void {
    const enough = this.#roomFor(length);
    if (2 * enough <= this.#capacity) this.#recut(enough);
  }

  /**
   * Writes new positions as the graph returns them, [batch, 2 * layers * kvHeads, T, headDim]: those of batch entry
   * `from` go to `place`, from position `start` on.
   */
  write(present: CacheData, T: number, from: number, place: number, start: number): void {
    const { kvHeads, headDim } = this.shape;
    const size = T * headDim;
    const arrays = this.#arrays.length;
    for (let array = 0; array < this.#arrays.length; array += 1) {
      const target = this.#arrays[array];
      if (target === undefined) continue;
      for (let head = 0; head < kvHeads; head += 1) {
        const source = ((from * arrays + array) * kvHeads + head) * size;
        const to = ((place * kvHeads + head) * this.#capacity + start) * headDim;
        if (size <= 100) {
          for (let index = 0; index < size; index += 1) {
            target[to + index] = present[source + index] ?? 0;
          }
        } else target.set(present.subarray(source, source + size), to);
      }
    }
  }

  /** Positions from `start` up to `length` of a place of a cache of the same shape, copied to `place`. */
  copyFrom(
    other: KeyValueCache,
    otherPlace: number,
    place: number,
    length: number,
    start = 0,
  ): void {
    const { kvHeads, headDim } = this.shape;
    this.#arrays.forEach((target, array) => {
      const source = other.#arrays[array];
      if (source === undefined) return;
      for (let head = 0; head < kvHeads; head += 1) {
        const from = (otherPlace * kvHeads + head) * other.#capacity;
        const to = (place * kvHeads + head) * this.#capacity;
        const part = source.subarray((from + start) * headDim, (from + length) * headDim);
        target.set(part, (to + start) * headDim);
      }
    });
  }

  #roomFor(length: number): number {
    return length === 0 ? 0 : Math.max(leastCapacity(this.shape.headDim), bucketOf(length));
  }

  #allocate(capacity: number): CacheData[] {
    const { layers, kvHeads, headDim, dtype, shared = false } = this.shape;
    const size = this.places * kvHeads * capacity * headDim;
    const bytes = size * arrayOf[dtype].BYTES_PER_ELEMENT;
    const allocate = (): CacheData => {
      const memory = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
      return dtype === 'float32' ? new Float32Array(memory) : new Uint16Array(memory);
    };
    return Array.from({ length: 2 * layers }, allocate);
  }

  #recut(capacity: number): void {
    const { headDim } = this.shape;
    const kept = Math.min(capacity, this.#capacity) * headDim;
    const former = this.#arrays;
    this.#arrays = this.#allocate(capacity);
    former.forEach((source, array) => {
      const target = this.#arrays[array];
      if (target === undefined) return;
      const rows = this.places * this.shape.kvHeads;
      for (let row = 0; row < rows; row += 1) {
        const from = row * this.#capacity * headDim;
        target.set(source.subarray(from, from + kept), row * capacity * headDim);
      }
    });
    this.#capacity = capacity;
  }
}
