// One line per step in fixed columns, as text: the live list, the scrollback and the run that needs no live screen all
// show a step the same way. State is told by symbol, word and colour, so that any one of them is enough.

import type { PlannedStep } from '../../schemas/event.ts';
import { headline, outputBytes, progressText, valueText } from '../describe.ts';
import { failureReason } from '../failure.ts';
import { bytes, count, duration, shortKey } from '../format.ts';
import { sparkline } from '../plot.ts';
import { pad, truncate } from '../table.ts';
import type { Theme } from '../theme.ts';
import type { Settled, StepView } from './state.ts';

export interface Layout {
  readonly width: number;
  readonly nameWidth: number;
  /** 0: parameters stand in the name (`adapter[r=8]`) instead of in a column of their own. */
  readonly paramsWidth: number;
  readonly stateWidth: number;
  readonly key: boolean;
  readonly took: boolean;
}

const widest = { name: 28, params: 24 };
const wide = 90;
const medium = 60;

const paramsText = (plan: PlannedStep): string =>
  Object.entries(plan.axes)
    .map(([axis, value]) => `${axis}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');

const longest = (texts: readonly string[], limit: number): number =>
  Math.min(limit, Math.max(0, ...texts.map((text) => text.length)));

/** Columns for a terminal's width: from the plan alone, so that they never move while the run goes on. */
export const layoutFor = (steps: readonly PlannedStep[], width: number): Layout => {
  const ids = steps.map(({ id }) => id);
  const names = steps.map(({ step }) => step);
  const room = width >= wide;
  return {
    width,
    nameWidth: room ? longest(ids, widest.name) : longest(names, width < medium ? 20 : 36),
    paramsWidth: room ? longest(steps.map(paramsText), widest.params) : 0,
    stateWidth: room ? 20 : width >= medium ? 15 : 12,
    key: room,
    took: width >= medium,
  };
};

interface Look {
  readonly symbol: string;
  readonly word: string;
  readonly paint: (text: string) => string;
}

const runningWord = (view: StepView): string => {
  if (view.progress !== null) return progressText(view.progress);
  return view.resumed ? 'resumed' : 'started';
};

const lookOf = (view: StepView, waitsOn: readonly string[], theme: Theme): Look => {
  switch (view.state) {
    case 'cached':
      return { symbol: '✔', word: 'cached', paint: theme.cached };
    case 'ran':
      return { symbol: '✔', word: 'ran', paint: theme.ok };
    case 'running':
      return { symbol: '▶', word: runningWord(view), paint: theme.running };
    case 'failed':
      return { symbol: '✘', word: 'failed', paint: theme.failed };
    case 'skipped':
      return { symbol: '↷', word: 'skipped', paint: theme.dim };
    case 'interrupted':
      return { symbol: '■', word: 'stopped', paint: theme.warning };
    case 'held':
      return { symbol: '·', word: 'computed elsewhere', paint: theme.dim };
    case 'waiting': {
      const [first, ...others] = waitsOn;
      const more = others.length === 0 ? '' : ` +${others.length}`;
      const word = first === undefined ? view.note || 'ready' : `waiting on ${first}${more}`;
      return { symbol: '·', word, paint: theme.dim };
    }
  }
};

/** The last column: what came out, how it goes, or what is in the way. */
const restOf = (view: StepView, room: number): string => {
  switch (view.state) {
    case 'cached':
    case 'ran': {
      if (view.result === null) return '';
      return headline(view.result) || bytes(outputBytes(view.result));
    }
    case 'running': {
      const { loss } = view;
      if (loss.last === null) return view.progress?.note ?? '';
      const text = valueText('loss', loss.last);
      const curve = Math.min(12, room - text.length - 1);
      return curve < 4 ? text : `${text} ${sparkline(loss.points.slice(-64), curve)}`;
    }
    case 'failed':
      return view.failure === null ? '' : (failureReason(view.failure).split('\n', 1)[0] ?? '');
    case 'skipped':
      return view.note;
    case 'interrupted':
      return view.note === '' ? '' : `kept: ${view.note}`;
    case 'held':
      return `by ${view.note}`;
    case 'waiting':
      return '';
  }
};

const tookOf = (view: StepView, now: number): string => {
  if (view.durationMs !== null) return duration(view.durationMs);
  if (view.state === 'running' && view.startedAt !== null)
    return duration(Math.max(0, now - view.startedAt));
  return '';
};

/** An error's words, and what was kept, matter more than the width: these lines may wrap, all others are cut. */
export const mayWrap = (view: StepView): boolean =>
  view.state === 'failed' || view.state === 'interrupted';

export const stepLine = (
  view: StepView,
  context: {
    readonly layout: Layout;
    readonly theme: Theme;
    readonly now: number;
    readonly waitsOn: readonly string[];
    readonly selected?: boolean;
  },
): string => {
  const { layout, theme } = context;
  const look = lookOf(view, context.waitsOn, theme);
  const name = layout.paramsWidth > 0 || layout.width >= wide ? view.plan.id : view.plan.step;
  const padded = pad(name, layout.nameWidth);
  const lead = `${look.paint(look.symbol)} ${context.selected === true ? theme.bold(padded) : padded}`;
  const params =
    layout.paramsWidth > 0
      ? [theme.dim(pad(truncate(paramsText(view.plan), layout.paramsWidth), layout.paramsWidth))]
      : [];
  const before =
    2 +
    Math.max(name.length, layout.nameWidth) +
    (layout.paramsWidth > 0 ? 2 + layout.paramsWidth : 0);
  // A step that waits has nothing to put into the other columns, so what it waits for may take them.
  if (context.waitsOn.length > 0)
    return [lead, ...params, look.paint(truncate(look.word, layout.width - before - 2))].join('  ');
  const cells = [
    lead,
    ...params,
    look.paint(pad(truncate(look.word, layout.stateWidth), layout.stateWidth)),
    ...(layout.key ? [theme.dim(pad(view.key === null ? '—' : shortKey(view.key), 7))] : []),
    ...(layout.took ? [pad(tookOf(view, context.now), 7)] : []),
  ];
  const used = before + (2 + layout.stateWidth) + (layout.key ? 9 : 0) + (layout.took ? 9 : 0) + 2;
  const room = layout.width - used;
  const rest = restOf(view, room);
  const last = mayWrap(view) ? rest : room < 4 ? '' : truncate(rest, room);
  return [...cells, last].join('  ').trimEnd();
};

/** A line of the scrollback. */
export const settledLine = (
  settled: Settled,
  context: { readonly layout: Layout; readonly theme: Theme; readonly now: number },
): string => {
  const { theme } = context;
  switch (settled.kind) {
    case 'step':
      return stepLine(settled.view, { ...context, waitsOn: [] });
    case 'cached':
      return `${theme.cached('✔')} ${count(settled.count, 'step')} ${theme.cached('cached')}`;
    case 'note':
      return settled.tone === 'warning'
        ? `${theme.warning('!')} ${settled.text}`
        : theme.dim(settled.text);
  }
};
