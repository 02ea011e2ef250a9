// Running graphs: the one file that imports onnxruntime-node. It sets the options that keep numbers exact and memory
// small (each of the runtime's traps is met here, with its reason), checks what is fed, and turns the runtime's
// failures into errors that say what to do. A run blocks the event loop of its thread until it is done.
import './runtime-environment.ts';
import { InferenceSession, Tensor, env, listSupportedBackends } from 'onnxruntime-node';
import type { DType, TensorData } from './dtype.ts';
import type { Feed, Feeds } from './feeds.ts';
import { SessionError, checkData, checkFeeds, noOutput } from './feeds.ts';
import type { Graph, Value } from './graph.ts';
import { lower } from './lower.ts';
import { memoryLocation, serialize } from './onnx.ts';
import { saturationProbe } from './saturation.ts';

export { SessionError };
export type { Feed, Feeds };

export type Device = 'cpu' | 'webgpu' | 'cuda' | 'coreml' | 'dml';

export interface SessionOptions {
  readonly device?: Device;
  /** Threads of one product; 1 unless said (a worker knows its share of the machine). */
  readonly threads?: number;
  /** Pack constant fp32 weights for speed: an anonymous copy for each direction they are used in. Default true. */
  readonly prepack?: boolean;
  /** Keep freed temporaries for the next run. Default true; false where a large temporary would stay. */
  readonly arena?: boolean;
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'layout' | 'all';
  /**
   * Compute what depends on constants alone when the session is created. Default: where no weight is narrower than
   * float32, since it would unpack those that stay packed in the graph. With true, 16-bit weights that are cast
   * become float32 in memory, at the speed of the runtime and without a file.
   */
  readonly foldConstants?: boolean;
  /** More optimisers to leave out, by the runtime's names. */
  readonly disabledOptimizers?: readonly string[];
  /** Typed arrays of the graph's `initializer` values, by name; the runtime copies each once. */
  readonly initializers?: Readonly<Record<string, TensorData>>;
  /** The runtime itself says nothing of a failure that the caller expects. */
  readonly quiet?: boolean;
  /** Further session configuration entries by their full key (`session.intra_op.allow_spinning`). */
  readonly extra?: Readonly<Record<string, string>>;
}

export interface RunOptions {
  /** Outputs to compute; all of them when left out. */
  readonly fetches?: readonly string[];
  /** Own buffers that outputs are written into; an input's buffer may be one (an update in place). */
  readonly into?: Feeds;
}

export interface Session {
  readonly device: Device;
  /** Runs the graph. Feeds and `into` are used without copying. */
  run(feeds: Feeds, options?: RunOptions): Promise<Record<string, Feed>>;
  /** Gives the memory back; the session can't be used afterwards. */
  release(): Promise<void>;
}

export const runtimeVersion = (): string => env.versions.node ?? env.versions.common;

const devices: readonly Device[] = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'];

/**
 * Devices whose code this installation brings; whether a GPU is behind one shows when a session is created. The
 * runtime also names some that need libraries of their own (cuda): those are tried when asked for.
 */
export const availableDevices = (): readonly Device[] =>
  listSupportedBackends()
    .filter(({ bundled }) => bundled)
    .flatMap(({ name }) => devices.filter((device) => device === name));

const describe = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Constant folding would turn half-precision and packed weights into fp32 copies when the session is created. */
const hasNarrowWeights = (graph: Graph): boolean =>
  graph.initializers.some(({ kind, value }) => kind !== 'constant' && value.dtype !== 'float32');

function configuration(graph: Graph, options: SessionOptions): Record<string, string> {
  // What the setting below would do to DequantizeLinear, it does wrongly: one zero point where there are many scales.
  const disabled = ['QDQS8ToU8Transformer', ...(options.disabledOptimizers ?? [])];
  // On other devices weights are copied anyway: what is cast and transposed once, while loading, isn't in every run.
  // (DequantizeLinear is never folded.)
  const mapped = (options.device ?? 'cpu') === 'cpu';
  const folds = options.foldConstants ?? !(mapped && hasNarrowWeights(graph));
  if (!folds) disabled.push('ConstantFolding');
  return {
    // Initialisers are found by absolute path: their locations are relative to the root.
    'session.model_external_initializers_file_folder_path': '/',
    // DequantizeLinear + MatMul fuses into MatMulNBits; without this its activations become int8 silently.
    'session.qdq_matmulnbits_accuracy_level': '1',
    // exp of a masked score is next to nothing, and arithmetic on numbers that small takes the processor a hundred times
    // as long: softmax over a causal mask, 1.4 ms instead of 0.2. The runtime heeds the first session of a process for
    // the thread that calls it (JavaScript's own arithmetic on it, too), so all sessions say the same.
    'session.set_denormal_as_zero': '1',
    'session.disable_prepacking': options.prepack === false ? '1' : '0',
    'optimization.disable_specified_optimizers': [...new Set(disabled)].sort().join(';'),
    ...options.extra,
  };
}

/** Makes int8 weights uint8, whose products are exact on every processor. */
const EXACT_INTEGERS = 'session.x64quantprecision';

let saturating: Promise<boolean> | undefined;

/** Whether products of uint8 and int8 are wrong on this processor (saturation.ts), tried once in a process. */
export const saturates = (): Promise<boolean> =>
  (saturating ??= (async () => {
    const { graph, feeds, initializers, exact } = saturationProbe();
    const session = await createSession(graph, { initializers, extra: { [EXACT_INTEGERS]: '0' } });
    try {
      const { sums } = await session.run(feeds);
      return sums?.data.some((sum) => sum !== exact) ?? true;
    } finally {
      await session.release();
    }
  })());

async function integerConfiguration(
  graph: Graph,
  device: Device,
  extra: SessionOptions['extra'] = {},
): Promise<Record<string, string>> {
  if (device !== 'cpu' || EXACT_INTEGERS in extra) return {};
  const signed = graph.nodes.some(
    ({ kind, inputs }) => kind === 'qGemm' && inputs[3]?.dtype === 'int8',
  );
  if (!signed) return {};
  return { [EXACT_INTEGERS]: (await saturates()) ? '1' : '0' };
}

/**
 * Arrays for the graph's memory initialisers. The runtime takes all external data from files or all from memory, so
 * beside mapped weights they are written into the model instead (twice copied while the session is created).
 */
function memoryData(graph: Graph, options: SessionOptions): Map<Value, TensorData> {
  const found = new Map<Value, TensorData>();
  for (const { kind, value } of graph.initializers) {
    if (kind !== 'memory') continue;
    const data = options.initializers?.[value.name];
    if (data === undefined) {
      throw new SessionError('bad-feed', `initialiser ${value.name} isn't given`);
    }
    checkData(value.name, value, data, value.shape.map(Number));
    found.set(value, data);
  }
  return found;
}

const asExternalData = ([value, data]: readonly [Value, TensorData]) => ({
  path: memoryLocation(value.name),
  data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
});

/** Wraps a feed once; the same feed object is the same tensor in every run. */
function tensorFactory(): (dtype: DType, feed: Feed) => Tensor {
  const made = new WeakMap<Feed, Tensor>();
  return (dtype, feed) => {
    const known = made.get(feed);
    if (known !== undefined) return known;
    // The library's types pair each dtype with its own array class; checkData has done so before.
    const tensor = new Tensor(dtype as 'float32', feed.data as Float32Array, feed.shape);
    // The class makes a Float16Array of it, which the native side takes for empty (1.30): it wants the bit patterns.
    if (dtype === 'float16') Object.defineProperty(tensor, 'data', { value: feed.data });
    made.set(feed, tensor);
    return tensor;
  };
}

function toFeed(tensor: Tensor): Feed {
  const { data, dims, type } = tensor;
  if (typeof data === 'object' && ArrayBuffer.isView(data)) {
    const half = type === 'float16' && !(data instanceof Uint16Array);
    const view: ArrayBufferView = data;
    const plain = half
      ? new Uint16Array(view.buffer, view.byteOffset, view.byteLength / 2)
      : (view as TensorData);
    return { data: plain, shape: dims };
  }
  throw new SessionError('run-failed', `an output of ${type} has no plain data`);
}

/** Only one WebGPU session may run at a time: the runtime shares one queue without a lock. */
let webgpuTurn: Promise<unknown> = Promise.resolve();

/** How the runtime says that a provider's library or its GPU isn't there. */
const providerFailure = /providers?_|execution provider|adapter|cannot open shared object/i;

function missingDevice(device: Device, cause?: unknown): SessionError {
  const available = availableDevices();
  const runtime = `onnxruntime-node ${runtimeVersion()} here has ${available.join(', ')}`;
  // The runtime's own sentence comes behind file, function and condition.
  const said = describe(cause).trim().split('was false. ').at(-1) ?? '';
  const reason =
    cause === undefined
      ? ''
      : available.includes(device)
        ? `: it finds no GPU or driver: ${said}`
        : `: ${said}`;
  return new SessionError('device-missing', `no device ${device} (${runtime})${reason}`, { cause });
}

export async function createSession(graph: Graph, options: SessionOptions = {}): Promise<Session> {
  const device = options.device ?? 'cpu';
  if (!listSupportedBackends().some(({ name }) => name === device)) throw missingDevice(device);
  const edges = [...graph.inputs, ...graph.outputs.map(({ value }) => value)];
  const bfloat = edges.find(({ dtype }) => dtype === 'bfloat16');
  if (bfloat !== undefined) {
    throw new SessionError('load-failed', `${bfloat.name}: bfloat16 can't go in or out; cast it`);
  }
  const lowered = lower(graph, device);
  const memory = memoryData(lowered, options);
  const embed = graph.initializers.some(({ kind }) => kind === 'external');
  const model = serialize(lowered, embed ? memory : undefined);
  const integers = await integerConfiguration(graph, device, options.extra);
  let native: InferenceSession;
  try {
    native = await InferenceSession.create(model, {
      executionProviders: [device],
      intraOpNumThreads: options.threads ?? 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: options.optimization ?? 'all',
      enableCpuMemArena: options.arena ?? true,
      // A pattern planned for one shape holds a gigabyte more on a training step, at no gain in speed.
      enableMemPattern: false,
      logSeverityLevel: options.quiet === true ? 4 : 3,
      extra: { ...configuration(graph, options), ...integers },
      ...(embed ? {} : { externalData: [...memory].map(asExternalData) }),
    });
  } catch (error) {
    if (error instanceof SessionError) throw error;
    if (device !== 'cpu' && providerFailure.test(describe(error))) {
      throw missingDevice(device, error);
    }
    throw new SessionError('load-failed', `the runtime refused the graph: ${describe(error)}`, {
      cause: error,
    });
  }
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, value]));
  const wrap = tensorFactory();
  let released = false;

  async function run(feeds: Feeds, { fetches, into = {} }: RunOptions = {}) {
    if (released) throw new SessionError('released', 'the session was released');
    checkFeeds(graph.inputs, feeds);
    const inputs: Record<string, Tensor> = {};
    for (const value of graph.inputs) {
      const feed = feeds[value.name];
      if (feed !== undefined) inputs[value.name] = wrap(value.dtype, feed);
    }
    const wanted: Record<string, Tensor | null> = {};
    for (const name of fetches ?? outputs.keys()) {
      const value = outputs.get(name);
      if (value === undefined) throw noOutput(name);
      const buffer = into[name];
      if (buffer !== undefined) checkData(name, value, buffer.data, buffer.shape);
      wanted[name] = buffer === undefined ? null : wrap(value.dtype, buffer);
    }
    try {
      const results = await native.run(inputs, wanted);
      return Object.fromEntries(
        Object.entries(results).map(([name, tensor]) => [name, into[name] ?? toFeed(tensor)]),
      );
    } catch (error) {
      throw new SessionError('run-failed', `the graph failed: ${describe(error)}`, {
        cause: error,
      });
    }
  }

  return {
    device,
    run: (feeds, runOptions) => {
      if (device !== 'webgpu') return run(feeds, runOptions);
      const turn = webgpuTurn.then(() => run(feeds, runOptions));
      webgpuTurn = turn.catch(() => undefined);
      return turn;
    },
    release: async () => {
      if (released) return;
      released = true;
      await native.release();
    },
  };
}
