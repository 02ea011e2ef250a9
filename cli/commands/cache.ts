// `mesa cache ls|verify|gc|path`.

import { createInterface } from 'node:readline/promises';
import { now } from '../../engine/clock.ts';
import { gcCache, gcDefaults, listCache, type GcReport } from '../../engine/gc.ts';
import type { Project } from '../../engine/project.ts';
import { verifyCache } from '../../engine/verify-cache.ts';
import { ago, bytes, count } from '../../ui/format.ts';
import { table } from '../../ui/table.ts';
import {
  flagOption,
  numberOption,
  type CliContext,
  type CommandAction,
  type OptionValues,
} from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { openProjectHere } from '../results.ts';

const print = (context: CliContext, lines: readonly string[]): void =>
  context.stdout.write(`${lines.join('\n')}\n`);

const list = (context: CliContext, project: Project, json: boolean): ExitCode => {
  const listing = listCache(project);
  if (json) {
    print(context, [JSON.stringify(listing, null, 2)]);
    return exitCodes.ok;
  }
  const { theme } = context.stdout;
  const rows = listing.entries.map((entry) => [
    theme.bold(entry.id),
    entry.type,
    String(entry.results),
    bytes(entry.bytes),
    ago(entry.usedAt, now()),
  ]);
  const checkpoints = listing.checkpoints.reduce((sum, checkpoint) => sum + checkpoint.bytes, 0);
  print(context, [
    ...(rows.length === 0
      ? ['the cache is empty']
      : table(
          [
            { title: 'step' },
            { title: 'type' },
            { title: 'results', align: 'right' },
            { title: 'size', align: 'right' },
            { title: 'last used' },
          ],
          rows,
          { head: theme.dim, width: context.stdout.columns() },
        )),
    '',
    `${bytes(listing.bytes)} in ${count(listing.objects, 'file')}, ` +
      `${bytes(checkpoints)} in ${count(listing.checkpoints.length, 'unfinished checkpoint')}, ` +
      `${bytes(listing.derivedBytes)} derived, ${bytes(listing.databaseBytes)} of database`,
  ]);
  context.stderr.write(context.stderr.theme.dim(`${project.cacheDir}\n`));
  return exitCodes.ok;
};

/** Damaged results are dropped and made again when asked for, so a damaged cache is a failure once. */
const verify = async (context: CliContext, project: Project, json: boolean): Promise<ExitCode> => {
  const { stderr } = context;
  let shown = 0;
  const found = await verifyCache(project, (done, total) => {
    const share = total === 0 ? 100 : Math.floor((done / total) * 100);
    if (!stderr.isTty || json || context.quiet || share < shown + 5) return;
    shown = share;
    stderr.write(`\r${stderr.theme.dim(`${share}% of ${bytes(total)}`)} `);
  });
  if (shown > 0) stderr.write('\r\u001b[K');
  if (json) print(context, [JSON.stringify(found, null, 2)]);
  else {
    const { theme } = context.stdout;
    const mark = found.damaged.length === 0 ? theme.ok('✔') : theme.failed('✘');
    print(context, [
      ...found.damaged.map(({ message }) => `${theme.failed('damaged')}  ${message}`),
      ...found.changed.map(({ message }) => `${theme.warning('changed')}  ${message}`),
      `${mark} ${count(found.files, 'file')}, ${bytes(found.bytes)}: ` +
        (found.damaged.length === 0
          ? 'all as they were written'
          : `${found.damaged.length} damaged and dropped; the next run makes them again`),
    ]);
  }
  return found.damaged.length === 0 ? exitCodes.ok : exitCodes.failed;
};

const gcText = (report: GcReport, would: boolean): string =>
  `${would ? 'would free' : 'freed'} ${bytes(report.bytes)}: ${count(report.results, 'result')}, ` +
  `${count(report.objects, 'file')}, ${count(report.checkpoints, 'checkpoint')}; ` +
  `${count(report.keptResults, 'result')} (${bytes(report.keptBytes)}) ${would ? 'would stay' : 'stay'}`;

const confirm = async (context: CliContext, question: string): Promise<boolean> => {
  context.stderr.write(`${question} [y/N] `);
  const lines = createInterface({ input: process.stdin });
  try {
    for await (const line of lines) return /^y(es)?$/i.test(line.trim());
    return false;
  } finally {
    lines.close();
  }
};

const collect = async (
  context: CliContext,
  project: Project,
  options: OptionValues,
): Promise<ExitCode> => {
  const keep = { ...gcDefaults, runs: numberOption(options, 'keep') ?? gcDefaults.runs };
  const json = flagOption(options, 'json');
  const preview = gcCache(project, { ...keep, dryRun: true });
  if (flagOption(options, 'dryRun')) {
    print(context, [json ? JSON.stringify(preview, null, 2) : gcText(preview, true)]);
    return exitCodes.ok;
  }
  if (!flagOption(options, 'yes')) {
    if (!process.stdin.isTTY || !context.stderr.isTty)
      return context.usage(
        'gc deletes results, and nobody is here to ask',
        `${gcText(preview, true)}; --yes does it, --dry-run shows it`,
      );
    context.stderr.write(`${gcText(preview, true)}\n`);
    if (!(await confirm(context, 'delete?'))) return exitCodes.ok;
  }
  const report = gcCache(project, { ...keep, dryRun: false });
  print(context, [json ? JSON.stringify(report, null, 2) : gcText(report, false)]);
  return exitCodes.ok;
};

export const execute: CommandAction = async (context, [what = ''], options) => {
  if (!['ls', 'verify', 'gc', 'path'].includes(what))
    return context.usage(`mesa cache can't "${what}"`, 'ls, verify, gc or path');
  const opened = openProjectHere(context);
  if (!opened.ok) return context.usage(opened.error.message, opened.error.hint);
  const project = opened.value;
  const json = flagOption(options, 'json');
  try {
    switch (what) {
      case 'ls':
        return list(context, project, json);
      case 'verify':
        return await verify(context, project, json);
      case 'gc':
        return await collect(context, project, options);
      default:
        print(context, [project.cacheDir]);
        return exitCodes.ok;
    }
  } finally {
    project.close();
  }
};
