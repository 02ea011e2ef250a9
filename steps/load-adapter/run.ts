// Runs load-adapter: checks that the folder is an adapter in full, and copies it. Adapters are small, and a copy
// survives the folder it came from.

import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { OutputArtifact, StepContext } from '../../engine/step.ts';
import {
  adapterFileNames,
  checkAlone,
  isPickled,
  locateAdapterFolder,
  readLocatedAdapter,
  type AdapterSummary,
  type LocatedAdapter,
} from '../../models/adapter-folder.ts';
import { writeFloatTensors, type AdapterFiles } from '../../models/peft-files.ts';
import { placeHubFolder } from '../hub-files.ts';
import { foreseen } from '../model-errors.ts';

export const run = async (context: StepContext): Promise<void> => {
  try {
    const located = locateAdapterFolder(await folderOf(context));
    const adapter = readLocatedAdapter(located);
    const summary = checkAlone(adapter);
    const output = context.output('adapter');
    write(output, located, adapter);
    context.measure('parameters', summary.parameters, 'parameters');
    context.measure(
      'weights',
      statSync(join(output.folder, adapterFileNames.weights)).size,
      'bytes',
    );
    context.report({ kind: 'headline', text: described(adapter, summary) });
  } catch (error) {
    throw foreseen(error);
  }
};

const folderOf = async (context: StepContext): Promise<string> => {
  const { source, path } = context.params;
  if (source === 'hub') return (await placeHubFolder(context)).folder;
  return typeof path === 'string' ? path : '';
};

const write = (output: OutputArtifact, located: LocatedAdapter, adapter: AdapterFiles): void => {
  const to = (name: string): string => join(output.folder, name);
  copyFileSync(located.config, to(adapterFileNames.config));
  // PEFT reads safetensors first, and a pickle is nothing to hand on.
  if (isPickled(located.weights))
    writeFloatTensors(to(adapterFileNames.weights), adapter.tensors.values());
  else copyFileSync(located.weights, to(adapterFileNames.weights));
  // Made by MESA: says in which template it was trained. Without it generate has nothing to compare.
  if (located.training !== null) copyFileSync(located.training, to(adapterFileNames.training));
};

const described = (
  { config }: AdapterFiles,
  { targets, saved, parameters }: AdapterSummary,
): string => {
  const ranks = targets.map(({ rank }) => rank);
  const [low, high] = [Math.min(...ranks), Math.max(...ranks)];
  const words = [
    `${config.use_dora ? 'DoRA' : 'LoRA'} of rank ${low === high ? low : `${low} to ${high}`}`,
    `${targets.length} modules`,
    `${(parameters / 1e6).toPrecision(3)} M parameters`,
    ...(saved.length === 0 ? [] : [`${saved.join(', ')} whole`]),
  ];
  return words.join(', ');
};
