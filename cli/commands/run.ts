// `mesa run`: plans, runs, shows, and ends with the result table and the next command.

import type { Interrupts } from '../interrupts.ts';
import { now } from '../../engine/clock.ts';
import { executePlan, type RunHandle } from '../../engine/execute.ts';
import type { Project } from '../../engine/project.ts';
import type { RunEvent } from '../../schemas/event.ts';
import type { RunRecord } from '../../schemas/run-record.ts';
import type { Reporter, RunControls } from '../../ui/reporter.ts';
import {
  flagOption,
  numberOption,
  textOption,
  type CliContext,
  type CommandAction,
  type OptionValues,
} from '../context.ts';
import { printRefusal, printWarnings } from '../diagnostics.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { planFile } from '../experiment.ts';
import { listenForInterrupts } from '../interrupts.ts';
import { mesaVersion } from '../package-root.ts';
import { chooseUi, makeReporter, type UiKind } from '../reporting.ts';
import { program, sameCommand } from '../typed-command.ts';
import { workerCommand } from '../worker-command.ts';

const readUi = (options: OptionValues): UiKind | undefined => {
  if (flagOption(options, 'json')) return 'json';
  const ui = textOption(options, 'ui');
  return ui === 'tui' || ui === 'plain' || ui === 'quiet' || ui === 'json' ? ui : undefined;
};

const onFailureOf = (options: OptionValues): 'stop' | 'continue' | 'kill' => {
  const value = textOption(options, 'onFailure');
  return value === 'continue' || value === 'kill' ? value : 'stop';
};

const killGraceMs = 1000;

/** How often the user asked to stop, and by what: decides the exit code. */
interface Stopping {
  terminated: boolean;
}

const listen = (
  context: CliContext,
  stopping: Stopping,
  handle: () => RunHandle | null,
): Interrupts => {
  const stop = (times: number, code: ExitCode): void => {
    const running = handle();
    if (running === null || times > 2) context.exitNow(code);
    running.stop(times === 1 ? 'checkpoint' : 'kill');
    // Killed workers end within milliseconds, and the run with them; nothing may keep the user waiting longer.
    if (times > 1) setTimeout(() => context.exitNow(code), killGraceMs).unref();
  };
  return listenForInterrupts(
    {
      interrupted: (times) => stop(times, exitCodes.interrupted),
      terminated: (times) => {
        stopping.terminated = true;
        stop(times, exitCodes.terminated);
      },
    },
    context.launched,
  );
};

const exitCodeOf = (record: RunRecord, stopping: Stopping): ExitCode => {
  switch (record.status) {
    case 'ok':
      return exitCodes.ok;
    case 'failed':
    case 'gate-failed':
      return exitCodes.failed;
    case 'interrupted':
    case 'killed':
      return stopping.terminated ? exitCodes.terminated : exitCodes.interrupted;
  }
};

/** The last thing printed: what came out, and what to type next. */
const printEnd = async (
  context: CliContext,
  project: Project,
  record: RunRecord,
): Promise<void> => {
  const { gatherResults } = await import('../run-results.ts');
  const { resultTable } = await import('../../ui/result-table.ts');
  const { nextCommand } = await import('../../ui/next-command.ts');
  const { stdout, stderr } = context;
  const results = await gatherResults(project, record);
  const lines = resultTable(results, { theme: stdout.theme, width: stdout.columns() });
  if (lines.length > 0) {
    if (!context.quiet) stderr.write('\n');
    stdout.write(`${lines.join('\n')}\n`);
  }
  if (context.quiet) return;
  const failed = record.steps.find(({ state }) => state === 'failed');
  const end = {
    run: record.run,
    status: record.status === 'killed' ? 'interrupted' : record.status,
    failedStep: failed?.step ?? null,
    program: program(context.env),
    command: sameCommand(context.env),
  } as const;
  stderr.write(`\n${stderr.theme.dim('next')}  ${nextCommand(end, results)}\n`);
};

export const execute: CommandAction = async (context, [file = ''], options) => {
  const ui = chooseUi(context, readUi(options));
  const planned = await planFile(context, file, options);
  if (planned === null) return exitCodes.usage;
  const { plan, project, experiment } = planned;
  if (flagOption(options, 'dryRun')) {
    const { showPlan } = await import('./plan.ts');
    printWarnings(context, experiment.warnings);
    showPlan(context, plan, ui === 'json');
    project.close();
    return exitCodes.ok;
  }
  printWarnings(context, experiment.warnings);
  let handle: RunHandle | null = null;
  let reporter: Reporter | null = null;
  const early: RunEvent[] = [];
  const stopping: Stopping = { terminated: false };
  const interrupts = listen(context, stopping, () => handle);
  const controls: RunControls = { interrupt: interrupts.interrupt };
  const loading = makeReporter(context, ui, options, controls, now).then((made) => {
    reporter = made;
    for (const event of early) made.event(event);
  });
  const name = textOption(options, 'name');
  const jobs = numberOption(options, 'jobs');
  const started = executePlan(
    plan,
    {
      onFailure: onFailureOf(options),
      worker: workerCommand(),
      mesaVersion: mesaVersion(),
      file,
      ...(jobs === undefined ? {} : { jobs }),
      ...(name === undefined ? {} : { name }),
    },
    (event) => {
      if (reporter === null) early.push(event);
      else reporter.event(event);
    },
  );
  if (!started.ok) {
    printRefusal(context, [started.error]);
    project.close();
    return exitCodes.usage;
  }
  handle = started.value;
  const record = await started.value.done;
  const shown = await loading.then(() => reporter);
  await shown?.close();
  interrupts.dispose();
  if (ui !== 'json') await printEnd(context, project, record);
  project.close();
  return exitCodeOf(record, stopping);
};
