// `mesa lock [files]`: what mesa.lock.json pins, and what experiments ask for that it doesn't.

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
import { hubRequests, type HubRequest } from '../hub-requests.ts';

interface Row extends HubRequest {
  readonly revision: string | null;
  readonly bytes: number;
}

const rowsOf = (lock: Lock, requests: readonly HubRequest[]): Row[] => {
  const asked = requests.map((request): Row => {
    const entry = findLocked(lock, request);
    const size = entry?.files.reduce((sum, file) => sum + file.size, 0) ?? 0;
    return { ...request, revision: entry?.revision ?? null, bytes: size };
  });
  const others = lock.entries.filter(
    (entry) => !requests.some((request) => findLocked({ entries: [entry] }, request) !== null),
  );
  return [
    ...asked,
    ...others.map(({ type, id, requested, revision, files }) => ({
      type,
      id,
      requested,
      steps: [],
      revision,
      bytes: files.reduce((sum, file) => sum + file.size, 0),
    })),
  ];
};

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
      { title: 'asked for' },
      { title: 'pinned to' },
      { title: 'size', align: 'right' },
      { title: 'steps', optional: true },
    ],
    rows.map((row) => [
      row.type,
      row.id,
      row.requested,
      row.revision?.slice(0, 12) ?? stdout.theme.warning('not pinned'),
      row.revision === null ? '' : bytes(row.bytes),
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
  const requests = hubRequests(experiments);
  if (flagOption(options, 'update') && requests.length > 0)
    return context.usage(
      `${requests.length} revisions would have to be asked for at the hub, and this version of MESA has no hub client`,
      'use source: path with a downloaded model, such as one in ~/.cache/huggingface',
    );
  return print(context, rowsOf(lock.value, requests), flagOption(options, 'json'));
};
