// PyTorch's checkpoint files (`pytorch_model.bin`): the zip archives of PyTorch >= 1.6 and the older stream of pickles.
// Tensors come out as ranges of the file; nothing in the file is executed, and nothing but these names may occur.
//
//   zip:     NAME/data.pkl  NAME/byteorder  NAME/data/KEY ...      a storage is one entry
//   legacy:  magic | protocol | system info | state dict | keys | (u64 values, bytes) per key

import type { FileRange } from '../weights.ts';
import { Cursor } from './cursor.ts';
import { encodings, type EncodingName } from './encoding.ts';
import { CheckpointError } from './error.ts';
import { BinaryFile } from './file.ts';
import {
  PickleGlobal,
  PickleTuple,
  readPickle,
  type PickleObject,
  type PickleRules,
  type PickleValue,
} from './pickle.ts';
import { readZipDirectory } from './zip.ts';

export interface TorchTensor {
  readonly name: string;
  readonly encoding: EncodingName;
  readonly shape: readonly number[];
  /** In values. */
  readonly strides: readonly number[];
  /** From the tensor's first value to its last. */
  readonly data: FileRange;
}

const storageTypes: Readonly<Record<string, EncodingName>> = {
  'torch.FloatStorage': 'F32',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.DoubleStorage': 'F64',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};
const functions = [
  'collections.OrderedDict',
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_tensor_v2',
  'torch._utils._rebuild_parameter',
  'torch.Size',
  'torch.nn.parameter.Parameter',
];
const allowed = new Set([...functions, ...Object.keys(storageTypes)]);

class Storage implements PickleObject {
  readonly kind = 'storage';
  readonly encoding: EncodingName;
  readonly key: string;
  readonly values: number;
  constructor(encoding: EncodingName, key: string, values: number) {
    this.encoding = encoding;
    this.key = key;
    this.values = values;
  }
}
class Tensor implements PickleObject {
  readonly kind = 'tensor';
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  constructor(
    storage: Storage,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

export const readTorchFile = (path: string): ReadonlyMap<string, TorchTensor> => {
  using file = new BinaryFile(path);
  if (file.size < 4)
    throw new CheckpointError(path, `is no PyTorch file: it has ${file.size} bytes`);
  const isZip = new DataView(file.read(0, 4).buffer).getUint32(0, true) === 0x04034b50;
  return isZip ? readZipped(file) : readLegacy(file);
};

const readZipped = (file: BinaryFile): ReadonlyMap<string, TorchTensor> => {
  const entries = readZipDirectory(file);
  const pickle = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
  const range = pickle === undefined ? undefined : entries.get(pickle);
  if (pickle === undefined || range === undefined)
    throw new CheckpointError(file.path, 'is a zip archive without data.pkl');
  const root = pickle.slice(0, -'data.pkl'.length);
  const order = entries.get(`${root}byteorder`);
  if (order !== undefined && order.bytes < 16) {
    const text = new TextDecoder().decode(file.read(order.offset, order.bytes));
    if (text !== 'little')
      throw new CheckpointError(file.path, `has the byte order ${JSON.stringify(text)}`);
  }
  const cursor = new Cursor(file, range.offset, range.offset + range.bytes);
  const state = readPickle(cursor, rulesOf(file.path));
  return tensorsOf(file.path, state, (key) => entries.get(`${root}data/${key}`));
};

const legacyMagic = 0x1950a86a20f9469cfc6cn;

const readLegacy = (file: BinaryFile): ReadonlyMap<string, TorchTensor> => {
  const { path } = file;
  const cursor = new Cursor(file);
  const rules = rulesOf(path);
  const fail = (message: string): never => {
    throw new CheckpointError(path, message);
  };
  // LONG1 of ten bytes; a double holds it as its nearest, which is enough to know the file by.
  const head = cursor.u8('the first opcode');
  cursor.position = 0;
  if (head !== 0x80 || readPickle(cursor, rules) !== Number(legacyMagic))
    return fail('is neither a zip archive nor an older PyTorch checkpoint');
  if (readPickle(cursor, rules) !== 1001) return fail('has an unknown protocol version');
  const system = readPickle(cursor, rules);
  if (!(system instanceof Map) || system.get('little_endian') !== true)
    return fail('is not little-endian');
  const state = readPickle(cursor, rules);
  const keys = readPickle(cursor, rules);
  if (!Array.isArray(keys)) return fail('has no list of storages');

  // Each storage says how many values it has; their size is known from the tensors that use it.
  const sizes = new Map<string, number>();
  for (const { storage } of stateTensors(path, state).values())
    sizes.set(storage.key, encodings[storage.encoding].bytes);
  const storages = new Map<string, FileRange>();
  for (const key of keys) {
    const bytesEach = typeof key === 'string' ? sizes.get(key) : undefined;
    if (typeof key !== 'string' || bytesEach === undefined)
      return fail('has a storage that no tensor uses');
    if (storages.has(key)) return fail(`lists the storage ${key} twice`);
    const values = cursor.size(`the size of storage ${key}`, bytesEach);
    storages.set(key, { path, offset: cursor.position, bytes: values * bytesEach });
    cursor.position += values * bytesEach;
  }
  return tensorsOf(path, state, (key) => storages.get(key));
};

const isSize = (value: PickleValue | undefined): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const sizes = (value: PickleValue | undefined): readonly number[] | undefined => {
  const items = value instanceof PickleTuple ? value.items : undefined;
  return items?.every(isSize) === true ? items : undefined;
};

const rulesOf = (path: string): PickleRules => ({
  allows: (name) => allowed.has(name),
  load: (id) => {
    const [kind, type, key, , values] = id instanceof PickleTuple ? id.items : [];
    const encoding = type instanceof PickleGlobal ? storageTypes[type.name] : undefined;
    if (kind !== 'storage' || encoding === undefined || typeof key !== 'string' || !isSize(values))
      throw new CheckpointError(path, 'holds a pickle with an unknown persistent id');
    return new Storage(encoding, key, values);
  },
  call: (name, args) => {
    switch (name) {
      case 'collections.OrderedDict':
        return args.length === 0 ? new Map() : undefined;
      case 'torch.Size':
        return args[0];
      case 'torch._utils._rebuild_parameter':
      case 'torch.nn.parameter.Parameter':
        return args[0] instanceof Tensor ? args[0] : undefined;
      case 'torch._utils._rebuild_tensor':
      case 'torch._utils._rebuild_tensor_v2': {
        const [storage, offset, shape, strides] = args;
        const [sizeList, strideList] = [sizes(shape), sizes(strides)];
        const good =
          storage instanceof Storage &&
          isSize(offset) &&
          sizeList !== undefined &&
          strideList?.length === sizeList.length;
        return good ? new Tensor(storage, offset, sizeList, strideList) : undefined;
      }
      default:
        return undefined;
    }
  },
});

/** The tensors of a state dict; other values beside them (step counts, settings) are not weights. */
const stateTensors = (path: string, state: PickleValue): ReadonlyMap<string, Tensor> => {
  const inner = state instanceof Map ? (state.get('state_dict') ?? state) : state;
  if (!(inner instanceof Map)) throw new CheckpointError(path, 'holds no state dict');
  const tensors = new Map<string, Tensor>();
  for (const [name, value] of inner)
    if (typeof name === 'string' && value instanceof Tensor) tensors.set(name, value);
  if (tensors.size === 0) throw new CheckpointError(path, 'holds no tensors');
  return tensors;
};

const tensorsOf = (
  path: string,
  state: PickleValue,
  storageAt: (key: string) => FileRange | undefined,
): ReadonlyMap<string, TorchTensor> => {
  const tensors = new Map<string, TorchTensor>();
  for (const [name, { storage, offset, shape, strides }] of stateTensors(path, state)) {
    const { encoding, key, values } = storage;
    const range = storageAt(key);
    const bytesEach = encodings[encoding].bytes;
    if (range === undefined)
      throw new CheckpointError(path, `is in storage ${key}, which is missing`, { tensor: name });
    if (range.bytes !== values * bytesEach)
      throw new CheckpointError(
        path,
        `is in storage ${key} of ${range.bytes} bytes, ${values * bytesEach} were promised`,
        { tensor: name },
      );
    const empty = shape.includes(0);
    const last = shape.reduce((sum, size, i) => sum + (size - 1) * (strides[i] ?? 0), 0);
    const length = empty ? 0 : last + 1;
    // A view may repeat values (stride 0), but no weight is larger than what was stored of it.
    const count = shape.reduce((product, size) => product * size, 1);
    if (offset + length > values || count > values)
      throw new CheckpointError(
        path,
        `of shape [${shape.join(', ')}] reaches beyond its storage of ${values} values`,
        { tensor: name },
      );
    tensors.set(name, {
      name,
      encoding,
      shape,
      strides,
      data: { path, offset: range.offset + offset * bytesEach, bytes: length * bytesEach },
    });
  }
  return tensors;
};
