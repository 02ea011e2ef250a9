// PEFT's target_parameters (lora.ParamWrapper): LoRA on a parameter instead of a layer. transformers 5 keeps the
// experts of a mixture stacked, gate_up_proj [E, 2 I, D] and down_proj [E, D, I], where checkpoints have a matrix each.
// One pair of tensors then serves all experts, and each expert's matrices get their share of it:
//
//      lora_A [E r, in]    rows of expert e:     e r .. (e + 1) r
//      lora_B [out, r E]   columns of expert e:  e, E + e, 2 E + e, ...   (r outside, E inside)
//      W_e += scale · B_e A_e;  of gate_up_proj's rows the first I are w1's, the others w3's
//
// A second parameter of one module wraps the first: the last keeps the module's name, the one before it has
// `.base_layer` added to it.

import type { Value } from '../tensor/graph.ts';
import type { GraphBuilder } from '../tensor/builder.ts';
import type { ModelConfig } from './config.ts';
import { AdapterError, endsWith, scaled, type LoraConfig, type LoraTarget } from './lora.ts';
import { linearModules, modelModules } from './modules.ts';

/** A module's stacked parameters, in the order in which PEFT wraps them. */
const stackedNames = ['gate_up_proj', 'down_proj'] as const;

interface Parameter {
  readonly owner: string;
  readonly name: string;
  /** The linear layers that it holds: by expert, then in the order of rows. */
  readonly layers: readonly (readonly string[])[];
}

export interface ParameterTarget extends Parameter, LoraTarget {
  /** What PEFT calls the module of its tensors. */
  readonly wrapper: string;
}

/** Where one linear layer's A and B lie in the tensors of a stack. */
export interface StackShare {
  readonly expert: number;
  readonly experts: number;
  /** Of lora_B: this layer's first row and how many it has. */
  readonly row: number;
  readonly rows: number;
}

/** What target_parameters of `lora` adapts, in the order of computation. */
export const parameterTargets = (
  lora: LoraConfig,
  config: ModelConfig,
): readonly ParameterTarget[] => {
  if (lora.target_parameters.length === 0) return [];
  checkOptions(lora);
  // PEFT refuses Conv1D, whose weight lies the other way round.
  const all = config.modelType === 'gpt2' ? [] : parametersOf(config);
  const idle = lora.target_parameters.find(
    (target) => !all.some(({ owner, name }) => endsWith(`${owner}.${name}`, target)),
  );
  if (idle !== undefined)
    throw new AdapterError(`target_parameters: ${idle} is no weight that can be adapted`);
  const matched = all.filter(({ owner, name }) => isTargeted(lora, `${owner}.${name}`));
  return matched.map((parameter) => {
    const { owner, name } = parameter;
    const module = `${owner}.${name}`;
    return { ...parameter, ...scaled(lora, module), wrapper: wrapperOf(lora, owner, name) };
  });
};

const parametersOf = (config: ModelConfig): readonly Parameter[] => {
  const { experts } = config.mlp;
  const linears = linearModules(config);
  const modules = modelModules(config.modelType);
  const ofLayers = Array.from({ length: experts === null ? 0 : config.layers }, (_, index) => {
    const layer = modules.layer(index);
    const { stacked, router } = layer;
    const each = Array.from({ length: experts?.count ?? 0 }, (_unused, at) => layer.expert(at));
    return [
      { owner: stacked.router, name: 'weight', layers: [[router]] },
      {
        owner: stacked.experts,
        name: stackedNames[0],
        layers: each.map(({ up }) => [up].flat()),
      },
      { owner: stacked.experts, name: stackedNames[1], layers: each.map(({ down }) => [down]) },
    ];
  }).flat();
  const inStacks = new Set(ofLayers.flatMap(({ layers }) => layers.flat()));
  return [
    ...linears
      .filter((module) => !inStacks.has(module))
      .map((module) => ({ owner: module, name: 'weight', layers: [[module]] })),
    ...ofLayers,
  ];
};

/** As PEFT's own errors, and its reason: nothing between x and (B A) can be put in. */
const checkOptions = (lora: LoraConfig): void => {
  if (lora.lora_dropout !== 0)
    throw new AdapterError('target_parameters does not work with lora_dropout');
  if (lora.use_dora) throw new AdapterError('target_parameters does not work with use_dora');
};

const isTargeted = (lora: LoraConfig, name: string): boolean =>
  lora.target_parameters.some((target) => endsWith(name, target));

const wrapperOf = (lora: LoraConfig, owner: string, name: string): string => {
  const wrapped = stackedNames.filter((each) => isTargeted(lora, `${owner}.${each}`));
  const outside = name === 'weight' ? 0 : wrapped.length - 1 - wrapped.findIndex((n) => n === name);
  return `${owner}${'.base_layer'.repeat(outside)}`;
};

/** Of an adapter whose model isn't known: the parameter that tensors of `wrapper` belong to, if they are of any. */
export const parameterOfWrapper = (
  lora: LoraConfig,
  wrapper: string,
): (LoraTarget & { readonly stacked: boolean }) | null => {
  const owner = wrapper.replace(/(?:\.base_layer)+$/, '');
  const names = endsWith(owner, 'experts') ? stackedNames : ['weight'];
  for (const name of names) {
    const module = `${owner}.${name}`;
    if (isTargeted(lora, module) && wrapperOf(lora, owner, name) === wrapper) {
      checkOptions(lora);
      return { ...scaled(lora, module), stacked: name !== 'weight' };
    }
  }
  return null;
};

/** The shares of a stack as values of a graph: taken apart once for all its experts. */
export class StackedFactors {
  readonly #graph: GraphBuilder;
  readonly #a = new Map<Value, readonly Value[]>();
  readonly #b = new Map<Value, ReadonlyMap<string, Value>>();

  constructor(graph: GraphBuilder) {
    this.#graph = graph;
  }

  /** [r, in] of stacked [E r, in] */
  a(stacked: Value, rank: number, { expert, experts }: StackShare): Value {
    const known = this.#a.get(stacked);
    const parts = known ?? this.#graph.split(stacked, 0, Array<number>(experts).fill(rank));
    this.#a.set(stacked, parts);
    return found(parts[expert]);
  }

  /** [rows, r] of stacked [out, r E]; `shares`: all of this stack. */
  b(stacked: Value, rank: number, share: StackShare, shares: readonly StackShare[]): Value {
    const key = ({ expert, row }: StackShare): string => `${expert} ${row}`;
    const known = this.#b.get(stacked);
    if (known !== undefined) return found(known.get(key(share)));
    const g = this.#graph;
    const { experts } = share;
    const [out = 0] = stacked.shape as readonly number[];
    const byExpert = g.transpose(g.reshape(stacked, [out, rank, experts]), [2, 0, 1]);
    const inOrder = [...shares].sort((x, y) => x.expert - y.expert || x.row - y.row);
    const parts = g.split(
      g.reshape(byExpert, [experts * out, rank]),
      0,
      inOrder.map(({ rows }) => rows),
    );
    const named = new Map(inOrder.map((each, index) => [key(each), found(parts[index])]));
    this.#b.set(stacked, named);
    return found(named.get(key(share)));
  }
}

const found = (value: Value | undefined): Value => {
  if (value === undefined) throw new Error('a share of another stack');
  return value;
};

/** The same of arrays: A [r, in] and B [rows, r] of one layer. */
export const sharedArrays = (
  a: Float32Array,
  b: Float32Array,
  rank: number,
  { expert, experts, row, rows }: StackShare,
): { readonly a: Float32Array; readonly b: Float32Array } => {
  const size = a.length / experts;
  const own = new Float32Array(rows * rank);
  for (let at = 0; at < rows; at++)
    for (let r = 0; r < rank; r++)
      own[at * rank + r] = b[((row + at) * rank + r) * experts + expert] ?? 0;
  return { a: a.subarray(expert * size, (expert + 1) * size), b: own };
};
