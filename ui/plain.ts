// One line per event, in stable columns, for pipes, CI and logs: no cursor movement, no spinner. A training step says
// something at most every ten seconds, and more rarely the older it gets (5 % of its age), so that a day of training
// leaves a hundred lines and not ten thousand.

import type { EventOf, RunEvent } from '../schemas/event.ts';
import {
  headline,
  planSummary,
  progressText,
  progressValues,
  runTally,
  statusWord,
} from './describe.ts';
import { failureBlock, failureReason } from './failure.ts';
import { duration, shortKey, timeOfDay } from './format.ts';
import type { Output } from './output.ts';
import { addSample, noPace, timeLeftMs, type Pace } from './pace.ts';
import type { LogSteps, Reporter } from './reporter.ts';
import { pad } from './table.ts';

const quietMs = 10_000;
const quietShare = 0.05;
const wordWidth = 7;
const longestName = 40;

interface Spoken {
  /** When the attempt began, and when it last said something. */
  readonly since: number;
  readonly at: number;
}

export interface PlainOptions {
  readonly logSteps?: LogSteps;
  /** Steps that were taken from the cache get one line each (`-v`), or one line together where there are many. */
  readonly eachCached?: boolean;
}

/** Above this many, cached steps are counted instead of listed. */
const manyCached = 50;

const nameWidth = (started: EventOf<'run-started'>): number =>
  Math.min(longestName, Math.max('run'.length, ...started.steps.map(({ step }) => step.length)));

export const plainReporter = (output: Output, options: PlainOptions = {}): Reporter => {
  const { theme } = output;
  const logSteps = options.logSteps ?? 'failed';
  let started: EventOf<'run-started'> | undefined;
  let width = 10;
  let listCached = true;
  const paces = new Map<string, Pace>();
  const spoken = new Map<string, Spoken>();
  const failures: EventOf<'step-failed'>[] = [];
  const skipped: string[] = [];

  const line = (at: number, name: string, rest: readonly string[]): void => {
    const shown = rest.filter((part) => part !== '').join('  ');
    output.write(`${theme.dim(timeOfDay(at))}  ${pad(name, width)}  ${shown}`.trimEnd() + '\n');
  };
  const word = (text: string, paint: (text: string) => string): string =>
    paint(pad(text, wordWidth));

  const progress = (event: EventOf<'step-progress'>): void => {
    const pace = addSample(paces.get(event.step) ?? noPace, event.at, event.done);
    paces.set(event.step, pace);
    const last = spoken.get(event.step) ?? { since: event.at, at: event.at };
    if (event.at - last.at < Math.max(quietMs, quietShare * (event.at - last.since))) return;
    spoken.set(event.step, { since: last.since, at: event.at });
    const left = timeLeftMs(pace, event.total);
    line(event.at, event.step, [
      progressText(event),
      ...progressValues(event.values),
      left === null || left === 0 ? '' : `eta ${duration(left)}`,
    ]);
  };

  const finish = (event: EventOf<'run-finished'>): void => {
    const paint =
      event.status === 'ok'
        ? theme.ok
        : event.status === 'interrupted'
          ? theme.warning
          : theme.failed;
    line(event.at, 'run', [
      word(statusWord(event.status), paint),
      duration(event.durationMs),
      runTally(event),
    ]);
    for (const failed of failures) {
      const context = { run: started?.run ?? 'last', notStarted: skipped };
      output.write(`\n${failureBlock(failed, context, theme).join('\n')}\n`);
    }
  };

  const event = (event: RunEvent): void => {
    switch (event.event) {
      case 'run-started': {
        started = event;
        width = nameWidth(event);
        const fresh = event.steps.filter(({ status }) => status.kind === 'fresh').length;
        listCached = options.eachCached === true || fresh <= manyCached;
        line(event.at, 'run', [event.run, event.file, planSummary(event.steps)]);
        return;
      }
      case 'step-cached':
        if (!listCached) return;
        line(event.at, event.step, [
          word('cached', theme.cached),
          shortKey(event.result.key),
          headline(event.result),
        ]);
        return;
      case 'step-started':
        spoken.set(event.step, { since: event.at, at: event.at });
        line(event.at, event.step, [
          word(event.resumed ? 'resumed' : 'started', theme.running),
          shortKey(event.key),
          event.attempt > 1 ? `(attempt ${event.attempt})` : '',
          event.reason === '' ? '' : theme.dim(`(${event.reason})`),
        ]);
        return;
      case 'step-progress':
        progress(event);
        return;
      case 'step-log':
        if (logSteps === 'none') return;
        if (event.level === 'warning')
          line(event.at, event.step, [word('warning', theme.warning), event.text]);
        else if (logSteps === 'all' || logSteps === 'new')
          line(event.at, event.step, [theme.dim(`| ${event.text}`)]);
        return;
      case 'step-waiting':
        line(event.at, event.step, [
          word('waiting', theme.dim),
          `for ${event.holder}, which computes the same`,
        ]);
        return;
      case 'checkpoint-saved':
        if (logSteps === 'all' || logSteps === 'new')
          line(event.at, event.step, [theme.dim(`checkpoint saved: ${event.note}`)]);
        return;
      case 'step-finished':
        line(event.at, event.step, [
          word('done', theme.ok),
          pad(duration(event.durationMs), 7),
          headline(event.result),
        ]);
        return;
      case 'step-failed':
        line(event.at, event.step, [
          word('failed', theme.failed),
          pad(duration(event.durationMs), 7),
          failureReason(event.failure).split('\n', 1)[0] ?? '',
          event.willRetry ? theme.dim('(trying again)') : '',
        ]);
        if (!event.willRetry) failures.push(event);
        return;
      case 'step-skipped':
        skipped.push(event.step);
        line(event.at, event.step, [word('skipped', theme.dim), event.because]);
        return;
      case 'step-interrupted':
        line(event.at, event.step, [
          word('stopped', theme.warning),
          pad(duration(event.durationMs), 7),
          event.kept === undefined ? '' : `kept: ${event.kept}`,
        ]);
        return;
      case 'cache-damaged':
        line(event.at, event.step, [
          word('damaged', theme.warning),
          `${event.message}; dropped from the cache and computed again`,
        ]);
        return;
      case 'warning':
        line(event.at, 'run', [
          word('warning', theme.warning),
          event.diagnostic.message,
          event.diagnostic.hint === undefined ? '' : theme.dim(`(${event.diagnostic.hint})`),
        ]);
        return;
      case 'run-stopping':
        line(event.at, 'run', [word('stopping', theme.warning), stoppingText(event)]);
        return;
      case 'run-finished':
        finish(event);
        return;
    }
  };
  return { event, close: async () => undefined };
};

/** What is said at once when the user presses Ctrl-C. */
export const stoppingText = (event: EventOf<'run-stopping'>): string => {
  const steps = event.steps.join(', ');
  if (event.mode === 'kill') return steps === '' ? 'now' : `${steps}: now`;
  if (event.steps.length === 0) return 'nothing is running';
  return `saving checkpoints of ${steps} (Ctrl-C again to stop now)`;
};
