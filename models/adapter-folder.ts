// An adapter's folder taken by itself, before its base model is known: which files make it up, and whether they agree
// with one another. Whether it fits a model is checkAdapter's business (linear-lora.ts).

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from './checkpoint/error.ts';
import { OpenFiles } from './checkpoint/file.ts';
import { readJsonObject } from './checkpoint/json.ts';
import { readTensor } from './checkpoint/stored.ts';
import { readTorchFile } from './checkpoint/torch.ts';
import {
  AdapterError,
  endsWith,
  loraTargets,
  savedModules,
  tensorNames,
  type LoraTarget,
} from './lora.ts';
import { parameterOfWrapper } from './lora-parameters.ts';
import { loraConfig, readFloatTensors, type AdapterFiles, type NamedTensor } from './peft-files.ts';

export const adapterFileNames = {
  config: 'adapter_config.json',
  weights: 'adapter_model.safetensors',
  /** What PEFT wrote before 2023. */
  pickled: 'adapter_model.bin',
  training: 'training.json',
} as const;

export interface LocatedAdapter {
  /** Absolute paths. */
  readonly config: string;
  readonly weights: string;
  /** Where MESA made it. */
  readonly training: string | null;
}

/** `names`: what there is, by relative name. */
export const locateAdapter = (
  where: string,
  names: readonly string[],
  path: (name: string) => string,
): LocatedAdapter => {
  const has = (name: string): boolean => names.includes(name);
  const { config, weights, pickled, training } = adapterFileNames;
  if (!has(config))
    throw new CheckpointError(where, `has no ${config}`, {
      hint: has('config.json')
        ? 'this is a model: use load-model'
        : 'an adapter is a folder as PEFT saves it',
    });
  const found = [weights, pickled].find(has);
  if (found === undefined)
    throw new CheckpointError(where, `has neither ${weights} nor ${pickled}`);
  return {
    config: path(config),
    weights: path(found),
    training: has(training) ? path(training) : null,
  };
};

export const locateAdapterFolder = (folder: string): LocatedAdapter => {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) throw new CheckpointError(folder, 'does not exist');
  if (!stat.isDirectory())
    throw new CheckpointError(folder, 'is no folder', {
      hint: 'name the folder that holds adapter_config.json',
    });
  const names = Object.values(adapterFileNames).filter((name) => existsSync(join(folder, name)));
  const model = existsSync(join(folder, 'config.json')) ? ['config.json'] : [];
  return locateAdapter(folder, [...names, ...model], (name) => join(folder, name));
};

export const readLocatedAdapter = ({ config, weights }: LocatedAdapter): AdapterFiles => {
  const json = readJsonObject(config);
  const base = json['base_model_name_or_path'];
  return {
    config: loraConfig(json),
    baseModel: typeof base === 'string' ? base : '',
    tensors: isPickled(weights) ? readPickled(weights) : readFloatTensors(weights),
  };
};

export const isPickled = (path: string): boolean => path.endsWith('.bin');

const readPickled = (path: string): ReadonlyMap<string, NamedTensor> => {
  using files = new OpenFiles();
  return new Map(
    [...readTorchFile(path).values()].map(({ name, shape, strides, encoding, data }) => {
      const arrangement = { kind: 'strided', strides } as const;
      const stored = {
        name,
        storedName: name,
        shape,
        encoding,
        arrangement,
        quantized: null,
        data,
      };
      return [name, { name, shape, data: readTensor(stored, files) }];
    }),
  );
};

export interface AdapterSummary {
  readonly targets: readonly LoraTarget[];
  /** Modules stored whole. */
  readonly saved: readonly string[];
  readonly parameters: number;
}

/** Tensors and configuration say the same, to the last tensor; throws AdapterError naming the first that doesn't. */
export const checkAlone = ({ config, tensors }: AdapterFiles): AdapterSummary => {
  const modules = new Set<string>();
  const whole = new Set<string>();
  for (const name of tensors.keys()) {
    const adapted = partOf(name);
    if (adapted !== null) modules.add(adapted);
    else whole.add(wholeModule(name));
  }
  if (modules.size === 0) throw new AdapterError('the adapter holds no LoRA tensor');
  const wrapped = [...modules].map((module) => ({
    module,
    parameter: parameterOfWrapper(config, module),
  }));
  const layers = wrapped.flatMap(({ module, parameter }) => (parameter === null ? [module] : []));
  const parameters = wrapped.flatMap(({ module, parameter }) =>
    parameter === null ? [] : [{ ...parameter, wrapper: module }],
  );
  requireTargets('target_modules', config.target_modules, layers);
  requireTargets(
    'target_parameters',
    config.target_parameters,
    parameters.map(({ module }) => module),
  );
  const targets = loraTargets(config, layers);
  const named = new Set(targets.map(({ module }) => module));
  const stray = layers.find((module) => !named.has(module));
  if (stray !== undefined)
    throw new AdapterError(
      `the adapter has tensors of ${stray}, which target_modules and layers_to_transform leave out`,
    );
  for (const target of targets)
    checkTarget({ ...target, wrapper: target.module, stacked: false }, config.use_dora, tensors);
  for (const parameter of parameters) checkTarget(parameter, false, tensors);
  const saved = savedModules(config, [...whole]);
  const unused = [...whole].find((module) => !saved.includes(module));
  if (unused !== undefined)
    throw new AdapterError(
      `the adapter holds ${tensorNames.saved(unused)}, which modules_to_save does not name`,
    );
  const count = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
  return { targets: [...targets, ...parameters], saved, parameters: count };
};

/** A module that is meant to be adapted and has no tensor at all. */
const requireTargets = (
  key: string,
  targets: string | readonly string[],
  modules: readonly string[],
): void => {
  if (typeof targets === 'string') return;
  const idle = targets.find((target) => !modules.some((module) => endsWith(module, target)));
  if (idle !== undefined)
    throw new AdapterError(`${key} names ${idle}, and the adapter has no tensor of it`);
};

const prefix = 'base_model.model.';
const parts = /^base_model\.model\.(.+)\.(lora_A\.weight|lora_B\.weight|lora_magnitude_vector)$/;

const partOf = (name: string): string | null => parts.exec(name)?.[1] ?? null;

const wholeModule = (name: string): string => {
  if (name.includes('lora_embedding_'))
    throw new AdapterError(`${name}: adapters of embedding layers are not supported`);
  if (name.startsWith(prefix) && name.endsWith('.weight') && !name.includes('.lora_'))
    return name.slice(prefix.length, -'.weight'.length);
  throw new AdapterError(`the adapter holds ${name}, which is no part of a LoRA adapter`);
};

const checkTarget = (
  {
    module,
    rank,
    wrapper,
    stacked,
  }: LoraTarget & { readonly wrapper: string; readonly stacked: boolean },
  useDora: boolean,
  tensors: ReadonlyMap<string, NamedTensor>,
): void => {
  const shapeOf = (name: string, rankAxis: 0 | 1): readonly number[] => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new AdapterError(`the adapter lacks ${name}`);
    const { shape } = tensor;
    const width = shape[rankAxis] ?? 0;
    // A stack has the rank once for each of its experts.
    if (shape.length !== 2 || width === 0 || (stacked ? width % rank !== 0 : width !== rank))
      throw new AdapterError(
        `${name} is [${shape.join(', ')}], but adapter_config.json gives ${module} the rank ${rank}`,
      );
    return shape;
  };
  const [experts] = shapeOf(tensorNames.a(wrapper), 0);
  const [outputs = 0, width] = shapeOf(tensorNames.b(wrapper), 1);
  if (experts !== width)
    throw new AdapterError(
      `${tensorNames.a(wrapper)} and ${tensorNames.b(wrapper)} are of different numbers of experts`,
    );
  const name = tensorNames.magnitude(wrapper);
  const magnitude = tensors.get(name);
  if (magnitude === undefined) {
    if (useDora) throw new AdapterError(`the adapter uses use_dora and lacks ${name}`);
    return;
  }
  if (!useDora)
    throw new AdapterError(`the adapter holds ${name}, but adapter_config.json has use_dora off`);
  if (magnitude.shape.join() !== String(outputs))
    throw new AdapterError(`${name} is [${magnitude.shape.join(', ')}], expected [${outputs}]`);
};
