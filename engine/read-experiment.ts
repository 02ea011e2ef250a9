// What is asked for (a file, values of the command line) read into an outline, and the plugins that it names.

import { resolve } from 'node:path';
import { loadDocument } from './extends.ts';
import { applyOverrides, type Override } from './overrides.ts';
import { Problems } from './problems.ts';
import type { StepRegistry } from './step.ts';
import { pluginModule } from './step-types.ts';
import { readOutline, type Outline } from './structure.ts';
import { scalarText } from './yaml-node.ts';

export type { Override } from './overrides.ts';

export interface DocumentRequest {
  /** Absolute path of the experiment file. */
  readonly file: string;
  readonly cwd: string;
  readonly overrides?: readonly Override[];
  /** `--seed`. */
  readonly seed?: number | string | undefined;
}

/** Null where a text is no experiment at all; lesser problems are reported and the rest is read. */
export const readExperiment = (request: DocumentRequest, problems: Problems): Outline | null => {
  const loaded = loadDocument(resolve(request.file), request.cwd, problems);
  if (loaded === null) return null;
  const { seed } = request;
  const overrides = [
    ...(request.overrides ?? []),
    ...(seed === undefined ? [] : [{ path: 'seed', value: String(seed), origin: '--seed' }]),
  ];
  const root = applyOverrides(loaded.root, overrides, request.cwd, loaded.sources.length, problems);
  return readOutline(root, problems);
};

export interface PluginUse {
  /** As written. */
  readonly uses: string;
  /** Absolute path of the module: the key of AnalyzeRequest.plugins. */
  readonly module: string;
}

/** The plugins that an experiment names, each once: described by a worker before the experiment is analysed. */
export const listPlugins = (
  request: DocumentRequest & { readonly registry: StepRegistry },
): readonly PluginUse[] => {
  // Whatever is wrong with the document is said by analyzeExperiment.
  const outline = readExperiment(request, new Problems());
  const found = new Map<string, PluginUse>();
  for (const { uses } of outline?.steps ?? []) {
    const module = uses === null ? null : pluginModule(uses, request.registry);
    if (uses === null || module === null || found.has(module)) continue;
    found.set(module, { uses: scalarText(uses), module });
  }
  return [...found.values()];
};
