// Parquet files written for tests, by hand: columns of integers, texts and lists of texts, nested in groups, as pyarrow
// lays them out; one row group, one page a column, nothing compressed.
// Format: parquet.thrift in Thrift's compact protocol; levels as in "Dremel made simple with Parquet".

export type ParquetColumn =
  | { readonly name: string; readonly type: 'int32' | 'text' | 'texts' }
  | { readonly name: string; readonly fields: readonly ParquetColumn[] };

type Row = Readonly<Record<string, unknown>>;

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
};

interface Typed {
  readonly type: number;
  readonly bytes: Buffer;
}
const i32 = (value: number): Typed => ({ type: 5, bytes: varint(value * 2) });
const i64 = (value: number): Typed => ({ type: 6, bytes: varint(value * 2) });
const binary = (value: string): Typed => ({
  type: 8,
  bytes: Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]),
});
const list = (items: readonly Typed[]): Typed => ({
  type: 9,
  bytes: Buffer.concat([
    Buffer.from([0xf0 | (items[0]?.type ?? 5)]),
    varint(items.length),
    ...items.map(({ bytes }) => bytes),
  ]),
});
/** By field number. */
const struct = (fields: Readonly<Record<number, Typed>>): Typed => {
  let last = 0;
  const parts = Object.entries(fields).map(([id, { type, bytes }]) => {
    const header = Buffer.from([((Number(id) - last) << 4) | type]);
    last = Number(id);
    return Buffer.concat([header, bytes]);
  });
  return { type: 12, bytes: Buffer.concat([...parts, Buffer.from([0])]) };
};

const physical = { int32: 1, text: 6 } as const;
const [optional, repeated] = [i32(1), i32(2)];
const [utf8, listOf] = [i32(0), i32(3)];

const schemaOf = (column: ParquetColumn): Typed[] => {
  const name = binary(column.name);
  if ('fields' in column) {
    const { fields } = column;
    return [struct({ 3: optional, 4: name, 5: i32(fields.length) }), ...fields.flatMap(schemaOf)];
  }
  const leaf = (called: Typed): Typed =>
    struct({ 1: i32(physical.text), 3: optional, 4: called, 6: utf8 });
  switch (column.type) {
    case 'int32':
      return [struct({ 1: i32(physical.int32), 3: optional, 4: name })];
    case 'text':
      return [leaf(name)];
    case 'texts':
      return [
        struct({ 3: optional, 4: name, 5: i32(1), 6: listOf }),
        struct({ 3: repeated, 4: binary('list'), 5: i32(1) }),
        leaf(binary('element')),
      ];
  }
};

interface Leaf {
  readonly path: readonly string[];
  readonly type: 'int32' | 'text' | 'texts';
}
const leavesOf = (column: ParquetColumn, path: readonly string[] = []): Leaf[] =>
  'fields' in column
    ? column.fields.flatMap((field) => leavesOf(field, [...path, column.name]))
    : [{ path: [...path, column.name], type: column.type }];

/** Runs of equal levels; all fit a byte. */
const levels = (values: readonly number[]): Buffer => {
  const runs: Buffer[] = [];
  for (let at = 0; at < values.length;) {
    let end = at;
    while (values[end] === values[at]) end += 1;
    runs.push(varint((end - at) * 2), Buffer.from([values[at] ?? 0]));
    at = end;
  }
  const bytes = Buffer.concat(runs);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes]);
};

const plain = (value: unknown): Buffer => {
  const bytes = typeof value === 'string' ? Buffer.from(value) : Buffer.alloc(0);
  const head = Buffer.alloc(4);
  head.writeInt32LE(typeof value === 'number' ? value : bytes.length);
  return Buffer.concat([head, bytes]);
};

const pageOf = ({ path, type }: Leaf, rows: readonly Row[]): { page: Buffer; count: number } => {
  const depth = path.length;
  const lists = rows.map((row) => {
    const value = path.reduce<unknown>((inner, name) => (inner as Row)[name], row);
    return type === 'texts' ? (value as readonly unknown[]) : [value];
  });
  const repetition = lists.flatMap((items) => [0, ...items.slice(1).map(() => 1)]);
  const definition = lists.flatMap((items) =>
    items.length === 0 ? [depth] : items.map(() => (type === 'texts' ? depth + 2 : depth)),
  );
  const content = Buffer.concat([
    ...(type === 'texts' ? [levels(repetition)] : []),
    levels(definition),
    ...lists.flat().map(plain),
  ]);
  const size = i32(content.length);
  const head = struct({ 1: i32(definition.length), 2: i32(0), 3: i32(3), 4: i32(3) });
  const header = struct({ 1: i32(0), 2: size, 3: size, 5: head });
  return { page: Buffer.concat([header.bytes, content]), count: definition.length };
};

export const parquetFile = (columns: readonly ParquetColumn[], rows: readonly Row[]): Buffer => {
  const magic = Buffer.from('PAR1');
  const pages: Buffer[] = [magic];
  let offset = magic.length;
  const chunks = columns
    .flatMap((column) => leavesOf(column))
    .map((leaf) => {
      const { page, count } = pageOf(leaf, rows);
      const { path, type } = leaf;
      const meta = struct({
        1: i32(physical[type === 'int32' ? 'int32' : 'text']),
        2: list([i32(0), i32(3)]),
        3: list([...path, ...(type === 'texts' ? ['list', 'element'] : [])].map(binary)),
        4: i32(0),
        5: i64(count),
        6: i64(page.length),
        7: i64(page.length),
        9: i64(offset),
      });
      const chunk = struct({ 2: i64(offset), 3: meta });
      pages.push(page);
      offset += page.length;
      return chunk;
    });
  const group = struct({ 1: list(chunks), 2: i64(offset), 3: i64(rows.length) });
  const root = struct({ 4: binary('schema'), 5: i32(columns.length) });
  const footer = struct({
    1: i32(2),
    2: list([root, ...columns.flatMap(schemaOf)]),
    3: i64(rows.length),
    4: list([group]),
  }).bytes;
  const length = Buffer.alloc(4);
  length.writeUInt32LE(footer.length);
  return Buffer.concat([...pages, footer, length, magic]);
};
