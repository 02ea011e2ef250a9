// A graph as the bytes of an ONNX model (onnx.proto, IR 10, opset 21 or later). Weights stay where they lie: an
// external initialiser is a path, an offset and a length. Equal graphs give equal bytes. Knows nothing of the runtime.
import type { DType, TensorData } from './dtype.ts';
import { dtypeFacts, fromNumbers } from './dtype.ts';
import type { Graph, GraphNode, Initializer, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { OnnxAttribute, OnnxOp, Operator } from './operator.ts';
import type { OpAttributes, OpKind } from './ops.ts';
import { operators } from './ops.ts';
import { ProtobufWriter } from './protobuf.ts';
import type { Shape } from './shape.ts';

const irVersion = 10;
const opsetVersion = 21;
/** Operators that came later. A graph without them keeps the version whose kernels every device has. */
const laterOpsets: { readonly [K in OpKind]?: number } = { attention: 23 };

/** Outputs after the first that may be left out when nothing reads them; others left out crash the runtime (Split). */
const optionalOutputs: ReadonlySet<OpKind> = new Set(['layerNormalization', 'rmsNormalization']);

/** The ONNX form of a node: operator, domain, attributes. */
function onnxOp(node: GraphNode): OnnxOp {
  const operator = operators[node.kind] as Operator<OpAttributes[OpKind]>;
  return operator.onnx(node.attributes, node.inputs, node.outputs);
}

const bytesOf = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** A location without its leading slash: found from the folder '/' that the session names. */
const locationOf = (path: string): string => path.replace(/^\//, '');

/** The location that stands for an initialiser in memory. */
export const memoryLocation = (name: string): string => `memory:${name}`;

function tensor(
  writer: ProtobufWriter,
  name: string,
  type: { dtype: DType; shape: Shape },
  body: (writer: ProtobufWriter) => void,
): void {
  for (const dim of type.shape) writer.int(1, Number(dim));
  writer.int(2, dtypeFacts[type.dtype].onnx).string(8, name);
  body(writer);
}

function external(writer: ProtobufWriter, location: string, offset: number, bytes: number): void {
  const entries = { location, offset: String(offset), length: String(bytes) };
  for (const [key, value] of Object.entries(entries)) {
    writer.message(13, (entry) => entry.string(1, key).string(2, value));
  }
  writer.int(14, 1);
}

function initializer(
  writer: ProtobufWriter,
  entry: Initializer,
  name: string,
  embedded: TensorData | undefined,
): void {
  const { value } = entry;
  tensor(writer, name, value, (body) => {
    switch (entry.kind) {
      case 'constant':
        body.bytes(9, bytesOf(entry.data));
        break;
      case 'external':
        external(body, locationOf(entry.range.path), entry.range.offset, entry.range.bytes);
        break;
      case 'memory': {
        if (embedded !== undefined) {
          body.bytes(9, bytesOf(embedded));
          break;
        }
        const count = value.shape.reduce<number>((product, dim) => product * Number(dim), 1);
        const bytes = Math.ceil((count * dtypeFacts[value.dtype].bits) / 8);
        external(body, memoryLocation(value.name), 0, bytes);
      }
    }
  });
}

function attribute(writer: ProtobufWriter, name: string, item: OnnxAttribute): void {
  writer.string(1, name);
  switch (item.kind) {
    case 'float':
      writer.float(2, item.value).int(20, 1);
      break;
    case 'int':
      writer.int(3, item.value).int(20, 2);
      break;
    case 'string':
      writer.string(4, item.value).int(20, 3);
      break;
    case 'scalar': {
      const { dtype, value } = item;
      writer.message(5, (t) =>
        tensor(t, '', { dtype, shape: [1] }, (body) =>
          body.bytes(9, bytesOf(fromNumbers(dtype, [value]))),
        ),
      );
      writer.int(20, 4);
      break;
    }
    case 'ints':
      for (const value of item.value) writer.int(8, value);
      writer.int(20, 7);
  }
}

function valueInfo(writer: ProtobufWriter, name: string, value: Value): void {
  writer.string(1, name).message(2, (type) =>
    type.message(1, (tensorType) =>
      tensorType.int(1, dtypeFacts[value.dtype].onnx).message(2, (shape) => {
        for (const dim of value.shape) {
          shape.message(1, (d) => (typeof dim === 'number' ? d.int(1, dim) : d.string(2, dim)));
        }
      }),
    ),
  );
}

/** Names in the model: inputs, initialisers and outputs keep theirs; inner values give way. */
function nameValues(graph: Graph): { names: Map<Value, string>; copies: [Value, string][] } {
  const names = new Map<Value, string>();
  const taken = new Set<string>();
  const give = (value: Value, name: string): void => {
    if (taken.has(name)) throw new GraphError(`two tensors of the model are named ${name}`);
    taken.add(name);
    names.set(value, name);
  };
  for (const value of graph.inputs) give(value, value.name);
  for (const { value, kind } of graph.initializers) {
    if (kind !== 'constant') give(value, value.name);
  }
  const produced = new Set(graph.nodes.flatMap((node) => node.outputs));
  const copies: [Value, string][] = [];
  for (const { name, value } of graph.outputs) {
    if (produced.has(value) && !names.has(value)) give(value, name);
    else if (names.get(value) !== name || produced.has(value)) {
      if (taken.has(name)) throw new GraphError(`two tensors of the model are named ${name}`);
      taken.add(name);
      copies.push([value, name]);
    }
  }
  const inner = [
    ...graph.initializers.map(({ value }) => value),
    ...graph.nodes.flatMap((node) => node.outputs),
  ];
  for (const value of inner) {
    if (names.has(value)) continue;
    let name = value.name;
    while (taken.has(name)) name += "'";
    give(value, name);
  }
  return { names, copies };
}

/** What nodes make and nobody outside sees. */
const inner = (graph: Graph): readonly Value[] => {
  const outer = new Set(graph.outputs.map(({ value }) => value));
  return graph.nodes.flatMap((node) => node.outputs).filter((value) => !outer.has(value));
};

/** The model's bytes. Memory initialisers in `embed` are written into it; others are named for the session to give. */
export function serialize(graph: Graph, embed?: ReadonlyMap<Value, TensorData>): Uint8Array {
  const { names, copies } = nameValues(graph);
  const nameOf = (value: Value): string => {
    const name = names.get(value);
    if (name === undefined) throw new GraphError(`${value.name} comes from nowhere`);
    return name;
  };
  const read = new Set<Value | undefined>([
    ...graph.nodes.flatMap((node) => node.inputs),
    ...graph.outputs.map(({ value }) => value),
  ]);
  const version = Math.max(...graph.nodes.map(({ kind }) => laterOpsets[kind] ?? opsetVersion));
  const model = new ProtobufWriter().int(1, irVersion).string(2, 'mesa');
  model.message(7, (body) => {
    for (const node of graph.nodes) {
      const op = onnxOp(node);
      const slots = op.slots ?? node.outputs.map((_, i) => i);
      const optional = optionalOutputs.has(node.kind);
      const outputs = new Array<string>(Math.max(...slots) + 1).fill('');
      node.outputs.forEach((value, i) => {
        const used = i === 0 || !optional || read.has(value);
        outputs[slots[i] ?? i] = used ? nameOf(value) : '';
      });
      while (outputs.at(-1) === '') outputs.pop();
      body.message(1, (n) => {
        for (const value of node.inputs) n.string(1, value === undefined ? '' : nameOf(value));
        for (const name of outputs) n.string(2, name);
        n.string(3, node.name).string(4, op.type);
        for (const [name, item] of Object.entries(op.attributes ?? {})) {
          n.message(5, (a) => attribute(a, name, item));
        }
        if (op.domain !== undefined) n.string(7, op.domain);
      });
    }
    for (const [value, name] of copies) {
      body.message(1, (n) =>
        n.string(1, nameOf(value)).string(2, name).string(3, `${name}/copy`).string(4, 'Identity'),
      );
    }
    body.string(2, 'graph');
    for (const entry of graph.initializers) {
      body.message(5, (t) => initializer(t, entry, nameOf(entry.value), embed?.get(entry.value)));
    }
    for (const value of graph.inputs)
      body.message(11, (info) => valueInfo(info, value.name, value));
    for (const { name, value } of graph.outputs) {
      body.message(12, (info) => valueInfo(info, name, value));
    }
    // Shapes of inner values: the runtime infers few symbolic ones, reuses no memory where it doesn't know them, and
    // spends seconds on looking for some (its planner is quadratic in what it can't reuse).
    for (const value of inner(graph))
      body.message(13, (info) => valueInfo(info, nameOf(value), value));
  });
  model.message(8, (opset) => opset.string(1, '').int(2, version));
  model.message(8, (opset) => opset.string(1, 'com.microsoft').int(2, 1));
  return model.finish();
}
