// The reporter for terminals. Until something has to run it prints lines as the live screen would leave them, so that
// a run out of the cache is over before Ink (a quarter of a second) would have been loaded. Then it draws at 10 fps.

import type { EventOf, RunEvent } from '../../schemas/event.ts';
import { planSummary, runTally, statusWord } from '../describe.ts';
import { failureBlock } from '../failure.ts';
import { duration } from '../format.ts';
import type { Output } from '../output.ts';
import type { Reporter, RunControls } from '../reporter.ts';
import { fits } from '../table.ts';
import { layoutFor, settledLine } from './lines.ts';
import type { LiveScreen } from './live.tsx';
import { initialState, reduceAll, type TuiState } from './state.ts';

export interface ScreenOptions {
  readonly output: Output;
  /** The terminal that `output` writes to; Ink needs the stream itself. */
  readonly terminal: NodeJS.WriteStream;
  readonly keyboard: NodeJS.ReadStream | null;
  readonly controls: RunControls;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const frameMs = 100;
const clockMs = 1000;

const endLines = (state: TuiState, finished: EventOf<'run-finished'>, output: Output): string[] => {
  const { theme } = output;
  const paint =
    finished.status === 'ok'
      ? theme.ok
      : finished.status === 'interrupted'
        ? theme.warning
        : theme.failed;
  const run = state.started?.run ?? 'last';
  const views = [...state.steps.values()];
  const notStarted = views
    .filter((view) => view.state === 'skipped' || view.state === 'waiting')
    .map((view) => view.plan.step);
  const blocks = views.flatMap((view) =>
    view.state === 'failed' && view.failure !== null
      ? [
          '',
          ...failureBlock(
            {
              event: 'step-failed',
              at: finished.at,
              step: view.plan.step,
              failure: view.failure,
              durationMs: view.durationMs ?? 0,
              willRetry: false,
              ...(view.note === '' ? {} : { kept: view.note }),
            },
            { run, notStarted },
            theme,
          ),
        ]
      : [],
  );
  return [
    `${paint(statusWord(finished.status))}  ${duration(finished.durationMs)}  ${theme.dim(runTally(finished))}`,
    ...blocks,
  ];
};

export const screenReporter = (options: ScreenOptions): Reporter => {
  const { output, terminal } = options;
  const { theme } = output;
  let state = initialState;
  let pending: RunEvent[] = [];
  let printed = 0;
  let live: LiveScreen | null = null;
  let loading: Promise<void> | null = null;
  let frame: NodeJS.Timeout | null = null;
  let clock: NodeJS.Timeout | null = null;

  const printSettled = (): void => {
    const layout = layoutFor(state.started?.steps ?? [], output.columns() ?? 80);
    const context = { layout, theme, now: options.now() };
    for (const item of state.settled.slice(printed))
      output.write(`${settledLine(item, context)}\n`);
    printed = state.settled.length;
  };

  const draw = (): void => {
    frame = null;
    state = reduceAll(state, pending);
    pending = [];
    if (live !== null) live.update(state, options.now());
    else if (loading === null) printSettled();
  };

  const goLive = async (): Promise<void> => {
    const { startLive } = await import('./live.tsx');
    if (state.finished !== null) return;
    printSettled();
    live = startLive({
      state,
      settledBefore: printed,
      now: options.now(),
      theme,
      terminal,
      keyboard: options.keyboard,
      controls: options.controls,
    });
    clock = setInterval(draw, clockMs);
    draw();
  };

  const header = (event: EventOf<'run-started'>): void => {
    const what = `${theme.bold('mesa run')}  ${event.file}`;
    const plan = theme.dim(`run ${event.run} · ${planSummary(event.steps)}`);
    const line = `${what}  ${plan}`;
    output.write(`${fits([line], output.columns()) ? line : `${what}\n${plan}`}\n\n`);
  };

  return {
    event: (event) => {
      if (event.event === 'run-started') header(event);
      pending.push(event);
      const starts = event.event === 'step-started' || event.event === 'step-waiting';
      if (starts) loading ??= goLive();
      if (event.event === 'run-stopping') draw();
      frame ??= setTimeout(draw, frameMs);
    },
    close: async () => {
      if (frame !== null) clearTimeout(frame);
      draw();
      await loading;
      if (clock !== null) clearInterval(clock);
      if (frame !== null) clearTimeout(frame);
      if (live === null) {
        printSettled();
        output.write('\n');
      } else await live.close(state, options.now());
      if (state.finished !== null)
        output.write(`${endLines(state, state.finished, output).join('\n')}\n`);
    },
  };
};
