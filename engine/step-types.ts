// Which step type a `uses` names: one of the registry, or a plugin (a module by path, or a package) that somebody else
// has described. No plugin code is loaded here.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Plugins } from './plugins.ts';
import type { Problems } from './problems.ts';
import type { StepDefinition, StepRegistry } from './step.ts';
import type { StepOutline } from './structure.ts';
import { didYouMean } from './suggest.ts';
import { unsupportedKeywords } from './validate.ts';
import { scalarText, type ScalarNode } from './yaml-node.ts';

export interface StepType {
  readonly definition: StepDefinition;
  /** Absolute path of a plugin's module. */
  readonly plugin: string | null;
}

const isPath = (uses: string): boolean => /^(?:\.\.?\/|\/)/u.test(uses);

interface PackageFile {
  readonly main?: unknown;
  readonly exports?: unknown;
}

const entryPoint = ({ exports, main }: PackageFile): string => {
  let at = exports;
  if (typeof at === 'object' && at !== null && '.' in at) at = (at as Record<string, unknown>)['.'];
  while (typeof at === 'object' && at !== null) {
    const conditions = at as Record<string, unknown>;
    at = conditions['import'] ?? conditions['node'] ?? conditions['default'];
  }
  return typeof at === 'string' ? at : typeof main === 'string' ? main : 'index.js';
};

/** The module of a package installed beside the experiment, as Node finds it; null where there is none. */
const packageModule = (name: string, folder: string): string | null => {
  if (!/^(?:@[a-z0-9-~][a-z0-9-._~]*\/)?[a-z0-9-~][a-z0-9-._~]*$/u.test(name)) return null;
  for (let at = folder; ; at = dirname(at)) {
    const home = join(at, 'node_modules', name);
    try {
      const file = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as PackageFile;
      return resolve(home, entryPoint(file));
    } catch {
      if (dirname(at) === at) return null;
    }
  }
};

/** Absolute path of the module that a `uses` names, or null where it names none. Built-in types come first. */
export const pluginModule = (uses: ScalarNode, registry: StepRegistry): string | null => {
  const text = scalarText(uses);
  if (registry.get(text) !== undefined) return null;
  return isPath(text) ? resolve(uses.source.folder, text) : packageModule(text, uses.source.folder);
};

/** Looks types up, each `uses` once. */
export class StepTypes {
  readonly #registry: StepRegistry;
  readonly #plugins: Plugins;
  readonly #problems: Problems;

  constructor(registry: StepRegistry, plugins: Plugins, problems: Problems) {
    this.#registry = registry;
    this.#plugins = plugins;
    this.#problems = problems;
  }

  find({ uses }: StepOutline): StepType | null {
    if (uses === null) return null;
    const text = scalarText(uses);
    const builtIn = this.#registry.get(text);
    if (builtIn !== undefined) return { definition: builtIn, plugin: null };
    const plugin = pluginModule(uses, this.#registry);
    if (plugin === null) {
      const hint =
        didYouMean(text, this.#registry.names) ??
        `the types are ${this.#registry.names.join(', ')}; a type of your own is named by its path: ./my-step.ts`;
      this.#problems.add('E207', uses, `there is no step type "${text}"`, { hint });
      return null;
    }
    const described = this.#plugins.get(plugin);
    if (described?.ok === false) {
      this.#problems.add('E228', uses, `${text} can't be used as a step type: ${described.error}`);
      return null;
    }
    if (described !== undefined) {
      const definition = described.value;
      const unsupported = unsupportedKeywords(definition.params);
      if (unsupported.length === 0) return { definition, plugin };
      this.#problems.add('E228', uses, `the parameters of ${text} use ${unsupported.join(', ')}`, {
        hint: 'parameters are described in JSON Schema draft-07',
      });
      return null;
    }
    const missing = !existsSync(plugin);
    this.#problems.add(
      'E228',
      uses,
      missing ? `there is no file ${text}` : `${text} could not be read as a step type`,
      {
        hint: missing
          ? 'the path is relative to the file it is written in'
          : 'a plugin exports defineStep({...}) as `step` or as its default',
      },
    );
    return null;
  }
}
