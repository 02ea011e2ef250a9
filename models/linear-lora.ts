// An adapter inside a graph: wraps the linear layers it adapts (see the picture in lora.ts) and says which stored
// weights it replaces. Values come from the caller: inputs when training, initialisers when generating.

import type { GraphBuilder } from '../tensor/builder.ts';
import type { Value } from '../tensor/graph.ts';
import type { ModelConfig } from './config.ts';
import type { Linears } from './linear.ts';
import { floatWeight } from './linear.ts';
import { parameterTargets, StackedFactors, type StackShare } from './lora-parameters.ts';
import type { LoraConfig, LoraTarget } from './lora.ts';
import { AdapterError, loraTargets, savedModules, tensorNames } from './lora.ts';
import { linearModules, modelModules } from './modules.ts';
import type { NamedTensor } from './peft-files.ts';
import type { ModelTensors } from './tensors.ts';

export interface AdapterTensor {
  /** As in adapter_model.safetensors. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: 'A' | 'B' | 'magnitude' | 'saved';
  readonly module: string;
}

/** One adapted layer, and where its A and B are. */
export interface FittedTarget extends LoraTarget {
  /** The module that its tensors are named after. */
  readonly wrapper: string;
  /** Null where they are its own. */
  readonly share: StackShare | null;
}

/** An adapter's configuration applied to a model: what it adapts and every tensor it must have. */
export interface FittedAdapter {
  readonly config: LoraConfig;
  /** By the module that computes. */
  readonly targets: ReadonlyMap<string, FittedTarget>;
  readonly tensors: readonly AdapterTensor[];
}

export const fitAdapter = (
  lora: LoraConfig,
  config: ModelConfig,
  weights: { get(name: string): { readonly shape: readonly number[] } | undefined },
): FittedAdapter => {
  const linears = linearModules(config);
  const modules = modelModules(config.modelType);
  const ownTargets = loraTargets(lora, linears);
  const stacks = parameterTargets(lora, config);
  const saved = savedModules(lora, [modules.embeddings, ...linears, modules.head]);
  if (saved.length > 0 && config.tied)
    throw new AdapterError(
      'modules_to_save on a model whose head is its embedding matrix is not supported',
    );
  const shapeOf = (module: string): readonly number[] => {
    const weight = weights.get(`${module}.weight`);
    if (weight === undefined) throw new AdapterError(`the model has no ${module}.weight`);
    return weight.shape;
  };
  const tensors = ownTargets.flatMap(({ module, rank }): readonly AdapterTensor[] => {
    const [out = 0, inputs = 0] = shapeOf(module);
    return [
      { name: tensorNames.a(module), shape: [rank, inputs], role: 'A', module },
      { name: tensorNames.b(module), shape: [out, rank], role: 'B', module },
      ...(lora.use_dora
        ? [
            {
              name: tensorNames.magnitude(module),
              shape: [out],
              role: 'magnitude',
              module,
            } as const,
          ]
        : []),
    ];
  });
  const targets = new Map<string, FittedTarget>();
  const add = (target: FittedTarget): void => {
    const { module } = target;
    if (targets.has(module))
      throw new AdapterError(`${module} is adapted by target_modules and by target_parameters`);
    targets.set(module, target);
  };
  for (const target of ownTargets) add({ ...target, wrapper: target.module, share: null });
  const stacked = stacks.flatMap(({ wrapper, layers, rank, scale }): readonly AdapterTensor[] => {
    const experts = layers.length;
    for (const [expert, modules] of layers.entries()) {
      let row = 0;
      for (const module of modules) {
        const [rows = 0] = shapeOf(module);
        const share = experts === 1 ? null : { expert, experts, row, rows };
        add({ module, rank, scale, wrapper, share });
        row += rows;
      }
    }
    const [first = []] = layers;
    const out = first.reduce((sum, module) => sum + (shapeOf(module)[0] ?? 0), 0);
    const inputs = shapeOf(first[0] ?? '')[1] ?? 0;
    const [name, width] = [wrapper, experts * rank];
    return [
      { name: tensorNames.a(name), shape: [width, inputs], role: 'A', module: name },
      { name: tensorNames.b(name), shape: [out, width], role: 'B', module: name },
    ];
  });
  return {
    config: lora,
    targets,
    tensors: [
      ...tensors,
      ...stacked,
      ...saved.map((module): AdapterTensor => ({
        name: tensorNames.saved(module),
        shape: shapeOf(module),
        role: 'saved',
        module,
      })),
    ],
  };
};

/** Every tensor the adapter must have is there with its shape, and there is none besides. */
export const checkAdapter = (
  adapter: FittedAdapter,
  tensors: ReadonlyMap<string, NamedTensor>,
): void => {
  const wanted = new Set(adapter.tensors.map(({ name }) => name));
  const unused = [...tensors.keys()].filter((name) => !wanted.has(name));
  if (unused.length > 0)
    throw new AdapterError(
      `${unused.length} tensors of the adapter fit nothing in the model, the first is ${unused[0] ?? ''}`,
    );
  for (const { name, shape } of adapter.tensors) {
    const found = tensors.get(name);
    if (found === undefined) throw new AdapterError(`the adapter lacks ${name}`);
    if (found.shape.join() !== shape.join())
      throw new AdapterError(
        `${name} is [${found.shape.join(', ')}], the model needs [${shape.join(', ')}]`,
      );
  }
};

/** Names of the weights that merging changes. */
export const changedWeights = ({ targets, tensors }: FittedAdapter): readonly string[] => {
  const saved = tensors.filter(({ role }) => role === 'saved').map(({ module }) => module);
  return [...new Set([...targets.keys(), ...saved])].map((module) => `${module}.weight`);
};

/** Weight name -> the value that takes its place (modules_to_save), for ModelTensors. */
export const savedSubstitutes = (
  adapter: FittedAdapter,
  values: ReadonlyMap<string, Value>,
): ReadonlyMap<string, Value> =>
  new Map(
    adapter.tensors.flatMap(({ name, role, module }) => {
      const value = values.get(name);
      return role === 'saved' && value !== undefined ? [[`${module}.weight`, value] as const] : [];
    }),
  );

/** What dropout leaves of a module's input, and the factor that keeps its expected size. */
export interface LoraDropout {
  readonly scale: number;
  apply(module: string, x: Value): Value;
}

export const noDropout: LoraDropout = { scale: 1, apply: (_module, x) => x };

export const loraLinears = (
  base: Linears,
  tensors: ModelTensors,
  adapter: FittedAdapter,
  values: ReadonlyMap<string, Value>,
  dropout: LoraDropout = noDropout,
): Linears => {
  const g = tensors.graph;
  const value = (name: string): Value => {
    const found = values.get(name);
    if (found === undefined) throw new AdapterError(`no value for ${name}`);
    return found;
  };
  const factorsOf = factors(g, adapter, value);
  const adapted = (module: string, x: Value, y: Value): Value => {
    const target = adapter.targets.get(module);
    if (target === undefined) return y;
    return g.scope('lora', () => {
      const { a, b } = factorsOf(target);
      const low = g.fusedMatMul(dropout.apply(module, x), a, { transB: true });
      const alpha = target.scale * dropout.scale;
      const delta = g.fusedMatMul(low, b, { transB: true, alpha });
      if (!adapter.config.use_dora) return g.add(y, delta);
      const magnitude = value(tensorNames.magnitude(module));
      const ratio = g.div(magnitude, columnNorms(tensors, target, a, b));
      const bias = `${module}.bias`;
      if (!tensors.has(bias)) return g.mul(g.add(y, delta), ratio);
      const shift = tensors.float(bias);
      return g.add(g.mul(g.add(g.sub(y, shift), delta), ratio), shift);
    });
  };
  return {
    apply: (module, x) => adapted(module, x, base.apply(module, x)),
    applyAll: (modules, x) =>
      base.applyAll(modules, x).map((y, index) => adapted(modules[index] ?? '', x, y)),
    applyJoined: (modules, x) =>
      modules.some((module) => adapter.targets.has(module)) ? null : base.applyJoined(modules, x),
  };
};

/** A [r, in] and B [out, r] of an adapted layer. */
const factors = (
  g: GraphBuilder,
  { targets }: FittedAdapter,
  value: (name: string) => Value,
): ((target: FittedTarget) => { readonly a: Value; readonly b: Value }) => {
  const stacks = new StackedFactors(g);
  return ({ wrapper, share, rank }) => {
    const a = value(tensorNames.a(wrapper));
    const b = value(tensorNames.b(wrapper));
    if (share === null) return { a, b };
    const shares = [...targets.values()].flatMap((other) =>
      other.wrapper === wrapper && other.share !== null ? [other.share] : [],
    );
    return { a: stacks.a(a, rank, share), b: stacks.b(b, rank, share, shares) };
  };
};

/**
 * Row norms of W + s B A without making that matrix: |w|² + 2 s (W Aᵀ ∘ B) + s² (B (A Aᵀ) ∘ B), summed over rows.
 * DoRA (Liu et al. 2024, section 4.3) takes them as constants in the backward pass.
 */
const columnNorms = (tensors: ModelTensors, target: LoraTarget, a: Value, b: Value): Value => {
  const g = tensors.graph;
  const [norms] = g.composite(
    'norms',
    // No inputs to differentiate by: the gradient stops here.
    [],
    () => {
      const w = floatWeight(tensors, `${target.module}.weight`);
      const cross = g.reduceSum(g.mul(g.fusedMatMul(w, a, { transB: true }), b), [-1]);
      const gram = g.fusedMatMul(a, a, { transB: true });
      const own = g.reduceSum(g.mul(g.matmul(b, gram), b), [-1]);
      const { scale } = target;
      const squares = g.add(
        g.add(g.reduceSumSquare(w, [-1]), g.mul(cross, 2 * scale)),
        g.mul(own, scale * scale),
      );
      return [g.sqrt(squares)] as const;
    },
    () => [],
  );
  return norms;
};
