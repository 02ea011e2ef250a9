// Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685) with the semantics of PEFT: which modules are
// matched, ranks and scales, initial values, names of tensors. How they enter a graph is linear-lora.ts.
//
//      x [N, in] ──┬── W [out, in] (frozen) ────────────┐
//                  │                                    + ── y [N, out]
//                  └── dropout ── A [r, in] ── B [out, r] · scale

import { stream } from '../random/threefry.ts';

/** PEFT's LoraConfig, as far as it is supported; names are PEFT's. */
export interface LoraConfig {
  readonly r: number;
  readonly lora_alpha: number;
  readonly lora_dropout: number;
  /** Names (a module's name or its end), a regular expression for whole names, or `all-linear`. */
  readonly target_modules: string | readonly string[];
  readonly use_rslora: boolean;
  readonly use_dora: boolean;
  readonly init_lora_weights: boolean | 'gaussian';
  /** Regular expressions for the end of a module's name. */
  readonly rank_pattern: Readonly<Record<string, number>>;
  readonly alpha_pattern: Readonly<Record<string, number>>;
  readonly layers_to_transform: readonly number[] | null;
  /** Parameters adapted as such (a name or its end): experts that transformers keeps stacked (lora-parameters.ts). */
  readonly target_parameters: readonly string[];
  /** Modules trained in full and stored in the adapter. */
  readonly modules_to_save: readonly string[] | null;
}

export const defaultLoraConfig: LoraConfig = {
  r: 8,
  lora_alpha: 16,
  lora_dropout: 0,
  target_modules: 'all-linear',
  use_rslora: false,
  use_dora: false,
  init_lora_weights: true,
  rank_pattern: {},
  alpha_pattern: {},
  layers_to_transform: null,
  target_parameters: [],
  modules_to_save: null,
};

/** An adapter or LoRA configuration that can't be used with the model. */
export class AdapterError extends Error {
  override readonly name = 'AdapterError';
}

/** One adapted module (or parameter). */
export interface LoraTarget {
  readonly module: string;
  readonly rank: number;
  readonly scale: number;
}

/** The modules of `linears` that the configuration adapts, in their order. */
export const loraTargets = (
  lora: LoraConfig,
  linears: readonly string[],
): readonly LoraTarget[] => {
  const matched = linears.filter(
    (module) => matches(lora.target_modules, module) && inLayers(lora, module),
  );
  if (matched.length === 0 && lora.target_parameters.length === 0)
    throw new AdapterError(
      `target_modules ${JSON.stringify(lora.target_modules)} matches no linear layer; the model has ${lastNames(linears).join(', ')}`,
    );
  if (typeof lora.target_modules !== 'string') {
    const idle = lora.target_modules.filter(
      (target) => !linears.some((module) => endsWith(module, target)),
    );
    if (idle.length > 0)
      throw new AdapterError(
        `target_modules: ${idle.join(', ')} matches no linear layer; the model has ${lastNames(linears).join(', ')}`,
      );
  }
  return matched.map((module) => scaled(lora, module));
};

/** Rank and scale of one module, by the patterns. */
export const scaled = (lora: LoraConfig, module: string): LoraTarget => {
  const rank = patternValue(lora.rank_pattern, module) ?? lora.r;
  const alpha = patternValue(lora.alpha_pattern, module) ?? lora.lora_alpha;
  return { module, rank, scale: alpha / (lora.use_rslora ? Math.sqrt(rank) : rank) };
};

export const endsWith = (module: string, name: string): boolean =>
  module === name || module.endsWith(`.${name}`);

const matches = (targets: string | readonly string[], module: string): boolean => {
  if (targets === 'all-linear') return true;
  if (typeof targets === 'string') return expression(`^(?:${targets})$`, targets).test(module);
  return targets.some((name) => endsWith(module, name));
};

const inLayers = (lora: LoraConfig, module: string): boolean => {
  if (lora.layers_to_transform === null) return true;
  const layer = /\.(\d+)\./.exec(module)?.[1];
  return layer !== undefined && lora.layers_to_transform.includes(Number(layer));
};

const patternValue = (
  patterns: Readonly<Record<string, number>>,
  module: string,
): number | undefined =>
  Object.entries(patterns).find(([pattern]) =>
    expression(`^(?:.*\\.)?(?:${pattern})$`, pattern).test(module),
  )?.[1];

const expression = (source: string, shown: string): RegExp => {
  try {
    return new RegExp(source);
  } catch {
    throw new AdapterError(`'${shown}' is not a regular expression`);
  }
};

const lastNames = (modules: readonly string[]): readonly string[] => [
  ...new Set(modules.map((module) => module.slice(module.lastIndexOf('.') + 1))),
];

/** Modules of `names` that `modules_to_save` trains in full. */
export const savedModules = (lora: LoraConfig, names: readonly string[]): readonly string[] => {
  const wanted = lora.modules_to_save ?? [];
  for (const name of wanted) {
    if (!names.some((module) => endsWith(module, name)))
      throw new AdapterError(`modules_to_save: ${name} is none of ${lastNames(names).join(', ')}`);
  }
  return names.filter((module) => wanted.some((name) => endsWith(module, name)));
};

/** Tensor names in adapter_model.safetensors. */
export const tensorNames = {
  a: (module: string): string => `base_model.model.${module}.lora_A.weight`,
  b: (module: string): string => `base_model.model.${module}.lora_B.weight`,
  magnitude: (module: string): string => `base_model.model.${module}.lora_magnitude_vector`,
  saved: (module: string): string => `base_model.model.${module}.weight`,
} as const;

/** A [rank, in]: Kaiming uniform with a = sqrt(5), or N(0, 1/r²). Depends on seed and module only. */
export const initialA = (
  lora: LoraConfig,
  target: LoraTarget,
  inputs: number,
  seed: number,
): Float32Array => {
  const values = new Float32Array(target.rank * inputs);
  const random = stream(seed, `lora_A ${target.module}`);
  if (lora.init_lora_weights === 'gaussian') return random.fillNormal(values, 0, 1 / target.rank);
  const bound = 1 / Math.sqrt(inputs);
  return random.fillUniform(values, -bound, bound);
};

/** B [out, rank]: zeros, so that training starts from the base model; random where PEFT says so (for tests). */
export const initialB = (
  lora: LoraConfig,
  target: LoraTarget,
  outputs: number,
  seed: number,
): Float32Array => {
  const values = new Float32Array(outputs * target.rank);
  if (lora.init_lora_weights !== false) return values;
  const bound = 1 / Math.sqrt(target.rank);
  return stream(seed, `lora_B ${target.module}`).fillUniform(values, -bound, bound);
};
