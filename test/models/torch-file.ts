// PyTorch's checkpoints written for tests, by hand: a pickle of names, shapes and places, and raw storages beside it.

/** `BINUNICODE`. */
export const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([Buffer.from('X'), length, bytes]);
};
/** `GLOBAL`: a module and a name in it. */
export const global = (name: string): Buffer =>
  Buffer.from(`c${name.replace(/\.([^.]*)$/, '\n$1')}\n`);
export const tuple = (...items: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')]);
/** `BININT`. */
const int = (value: number): Buffer => {
  const bytes = Buffer.from('J0000');
  bytes.writeInt32LE(value, 1);
  return bytes;
};

export interface TorchTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Tensors that name one array share a storage, as tied weights do. */
  readonly storage: Float32Array;
}

const rebuilt = (key: string, { shape, storage }: TorchTensor): Buffer => {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  return Buffer.concat([
    global('torch._utils._rebuild_tensor_v2'),
    tuple(
      tuple(
        text('storage'),
        global('torch.FloatStorage'),
        text(key),
        text('cpu'),
        int(storage.length),
      ),
      Buffer.from('Q'),
      int(0),
      tuple(...shape.map(int)),
      tuple(...strides.map(int)),
      Buffer.from([0x89]),
      Buffer.concat([global('collections.OrderedDict'), Buffer.from(')R')]),
    ),
    Buffer.from('R'),
  ]);
};

/** What `torch.save(model.state_dict(), ...)` writes since 1.6: a zip archive. */
export const torchFile = (tensors: readonly TorchTensor[]): Buffer => {
  const keys = new Map(
    [...new Set(tensors.map(({ storage }) => storage))].map((s, i) => [s, `${i}`]),
  );
  const items = tensors.flatMap((tensor) => [
    text(tensor.name),
    rebuilt(keys.get(tensor.storage) ?? '', tensor),
  ]);
  const pickle = Buffer.concat([
    Buffer.from('\x80\x02', 'latin1'),
    global('collections.OrderedDict'),
    Buffer.from(')R('),
    ...items,
    Buffer.from('u.'),
  ]);
  return storedZip([
    ['archive/data.pkl', pickle],
    ['archive/byteorder', Buffer.from('little')],
    ...[...keys].map(([storage, key]): [string, Buffer] => [
      `archive/data/${key}`,
      Buffer.from(storage.buffer, storage.byteOffset, storage.byteLength),
    ]),
    ['archive/version', Buffer.from('3\n')],
  ]);
};

/** A zip archive without compression, and without checksums: nothing that reads weights looks at them. */
const storedZip = (entries: readonly (readonly [name: string, content: Buffer])[]): Buffer => {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of entries) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt32LE(offset, 42);
    for (const [header, sizes, length] of [
      [local, 18, 26],
      [central, 20, 28],
    ] as const) {
      header.writeUInt32LE(content.length, sizes);
      header.writeUInt32LE(content.length, sizes + 4);
      header.writeUInt16LE(name.length, length);
    }
    parts.push(local, Buffer.from(name), content);
    directory.push(central, Buffer.from(name));
    offset += local.length + name.length + content.length;
  }
  const all = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(all.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, all, end]);
};
