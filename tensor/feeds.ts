// What goes into a run and comes out of it, and whether it fits the graph: dtypes, sizes, named dimensions that must
// agree. Knows nothing of the runtime.
import type { DType, TensorData } from './dtype.ts';
import { holds, slots } from './dtype.ts';
import type { Value } from './graph.ts';
import type { Shape } from './shape.ts';
import { evaluateDim, showShape } from './shape.ts';

export interface Feed {
  readonly data: TensorData;
  readonly shape: readonly number[];
}
export type Feeds = Readonly<Record<string, Feed>>;

/** The memory of feeds as what a message to another thread hands over, instead of a copy; what is shared stays so. */
export const handedOver = (feeds: readonly Feed[]): ArrayBuffer[] =>
  feeds.map(({ data }) => data.buffer).filter((buffer) => buffer instanceof ArrayBuffer);

/** A copy that threads share: handed to another one as it is. */
export const inSharedMemory = (data: Float32Array): Float32Array => {
  const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
  copy.set(data);
  return copy;
};

/** What the caller can do something about: a device that isn't there, a feed that doesn't fit, a refused model. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly code:
    'device-missing' | 'bad-feed' | 'load-failed' | 'run-failed' | 'overflow' | 'released';
  constructor(code: SessionError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const noOutput = (name: string): SessionError =>
  new SessionError('bad-feed', `the graph has no output ${name}`);

/** Whether an array holds a tensor of this dtype and shape. */
export function checkData(
  name: string,
  type: { dtype: DType },
  data: TensorData,
  shape: readonly number[],
): void {
  if (!holds(type.dtype, data)) {
    throw new SessionError(
      'bad-feed',
      `${name}: ${type.dtype} isn't held in a ${data.constructor.name}`,
    );
  }
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (data.length !== slots(type.dtype, count)) {
    throw new SessionError(
      'bad-feed',
      `${name}: ${data.length} numbers don't fill ${showShape(shape)}`,
    );
  }
}

/** Named dimensions get their size from the first feed that has them; every other feed must agree. */
export function checkFeeds(inputs: readonly Value[], feeds: Feeds): void {
  const sizes = new Map<string, number>();
  const known = new Set(inputs.map((value) => value.name));
  for (const name of Object.keys(feeds)) {
    if (!known.has(name)) throw new SessionError('bad-feed', `the graph has no input ${name}`);
  }
  const wrong = (value: Value, shape: Shape): never => {
    const where = [...sizes].map(([name, size]) => `${name} = ${size}`).join(', ');
    const message = `${value.name}: ${showShape(shape)} isn't ${showShape(value.shape)}`;
    throw new SessionError('bad-feed', where === '' ? message : `${message} where ${where}`);
  };
  for (const value of inputs) {
    const feed = feeds[value.name];
    if (feed === undefined) throw new SessionError('bad-feed', `input ${value.name} isn't fed`);
    checkData(value.name, value, feed.data, feed.shape);
    if (feed.shape.length !== value.shape.length) wrong(value, feed.shape);
    value.shape.forEach((dim, axis) => {
      const size = feed.shape[axis] ?? -1;
      if (typeof dim === 'string' && /^\w+$/.test(dim) && !sizes.has(dim)) sizes.set(dim, size);
    });
  }
  for (const value of inputs) {
    value.shape.forEach((dim, axis) => {
      const shape = feeds[value.name]?.shape ?? [];
      const expected = evaluateDim(dim, sizes);
      if (expected !== undefined && expected !== shape[axis]) wrong(value, shape);
    });
  }
}
