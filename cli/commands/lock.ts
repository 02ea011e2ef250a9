// `mesa lock [files]`: pins what experiments ask for and mesa.lock.json doesn't hold, and shows what it holds. With
// --update the hub is asked for every revision again.

import { globSync } from 'node:fs';
import path from 'node:path';
import type { Experiment } from '../../engine/experiment.ts';
import { findRoot } from '../../engine/find-root.ts';
import { findLocked, readLock, type Lock } from '../../engine/lock.ts';
import { bytes } from '../../ui/format.ts';
import { table } from '../../ui/table.ts';
import { flagOption, type CliContext, type CommandAction } from '../context.ts';
import { printRefusal } from '../diagnostics.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { readExperiment } from '../experiment.ts';
import { pinAll, pinnedText } from '../hub-lock.ts';
import { hubRequests, type WantedFromHub } from '../hub-requests.ts';

interface Row {
  readonly type: 'model' | 'dataset';
  readonly id: string;
  readonly part: string;
  readonly requested: string;
  readonly revision: string;
  readonly bytes: number;
  /** That take it; of the experiments that were read. */
  readonly steps: readonly string[];
}

const rowsOf = (lock: Lock, wanted: readonly WantedFromHub[]): Row[] =>
  lock.entries.map((entry): Row => {
    const { type, id, requested, part = '', revision, files } = entry;
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const steps = wanted
      .filter((each) => findLocked({ entries: [entry] }, each) !== null)
      .flatMap((each) => each.steps);
    return { type, id, part, requested, revision, bytes: size, steps };
  });

const print = (context: CliContext, rows: readonly Row[], json: boolean): ExitCode => {
  const { stdout } = context;
  if (json) {
    stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return exitCodes.ok;
  }
  if (rows.length === 0) {
    stdout.write('nothing is pinned, and no experiment asks for anything from a hub\n');
    return exitCodes.ok;
  }
  const lines = table(
    [
      { title: 'what' },
      { title: 'id' },
      { title: 'part', optional: true },
      { title: 'asked for' },
      { title: 'pinned to' },
      { title: 'size', align: 'right' },
      { title: 'steps', optional: true },
    ],
    rows.map((row) => [
      row.type,
      row.id,
      row.part,
      row.requested,
      row.revision.slice(0, 12),
      bytes(row.bytes),
      row.steps.join(', '),
    ]),
    { head: stdout.theme.dim, width: stdout.columns() },
  );
  stdout.write(`${lines.join('\n')}\n`);
  return exitCodes.ok;
};

const readAll = async (
  context: CliContext,
  args: readonly string[],
): Promise<readonly Experiment[] | null> => {
  const files =
    args.length > 0 ? args : globSync('experiments/**/*.{yaml,yml}', { cwd: context.cwd }).sort();
  const found: Experiment[] = [];
  for (const file of files) {
    const experiment = await readExperiment(context, file, {});
    if (experiment.ok) found.push(experiment.value);
    else {
      printRefusal(context, experiment.error);
      return null;
    }
  }
  return found;
};

export const execute: CommandAction = async (context, args, options) => {
  const experiments = await readAll(context, args);
  if (experiments === null) return exitCodes.usage;
  const root = experiments[0]?.root ?? findRoot(path.join(context.cwd, 'experiment.yaml'));
  const lock = readLock(root);
  if (!lock.ok) {
    printRefusal(context, [lock.error]);
    return exitCodes.usage;
  }
  const pinned = await pinAll(root, lock.value, experiments, {
    update: flagOption(options, 'update'),
    onPinned: (entry, before) => {
      if (!context.quiet) context.stderr.write(`${pinnedText(entry, before)}\n`);
    },
  });
  if (!pinned.ok) {
    printRefusal(context, pinned.error);
    return exitCodes.usage;
  }
  return print(
    context,
    rowsOf(pinned.value, hubRequests(experiments)),
    flagOption(options, 'json'),
  );
};
