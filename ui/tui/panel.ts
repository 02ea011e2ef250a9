// The panel under the list, as text: how the selected step is getting on, its log, or why it runs.

import { progressText, valueText } from '../describe.ts';
import { duration, fixed, shortKey } from '../format.ts';
import { timeLeftMs } from '../pace.ts';
import { bar, braille } from '../plot.ts';
import { pad, truncate, wrapWords } from '../table.ts';
import type { Theme } from '../theme.ts';
import type { StepView } from './state.ts';

export type PanelKind = 'progress' | 'log' | 'why' | 'help';

const percent = (share: number): string => `${Math.floor(share * 100)}%`.padStart(4);

const timeLeft = (view: StepView): string => {
  const left = timeLeftMs(view.pace, view.progress?.total ?? null);
  return left === null ? '' : `ETA ${duration(left)}`;
};

/** A step that has said nothing of its progress. */
const quietWord = (view: StepView): string => {
  if (view.state === 'held') return `computed by run ${view.note}`;
  if (view.state === 'waiting') return 'waiting';
  return view.resumed ? 'resumed' : 'starting';
};

const barLine = (view: StepView, width: number, theme: Theme): string => {
  const name = view.plan.step;
  const { progress } = view;
  if (progress === null || progress.total === null || progress.total === 0) {
    const doing = progress === null ? quietWord(view) : progressText(progress);
    return `${theme.bold(name)}  ${theme.dim(doing)}`;
  }
  const share = Math.min(1, progress.done / progress.total);
  const left = timeLeft(view);
  // Room for the name, the share and the time left, each with its gap; the bar takes what remains.
  const room = Math.min(40, width - name.length - 2 - 6 - 14);
  if (room < 8) return `${theme.bold(name)}  ${percent(share)}  ${left}`.trimEnd();
  return `${theme.bold(name)}  ${theme.running(bar(share, room))} ${percent(share)}   ${left}`.trimEnd();
};

const valuesLine = (view: StepView, width: number): string => {
  const values = view.progress?.values ?? {};
  const texts = Object.entries(values).flatMap(([name, value]) => {
    if (name === 'eval_loss') return [];
    const text = valueText(name, value);
    return name === 'loss' && view.loss.ema !== null
      ? [`${text} (ema ${fixed(view.loss.ema, 3)})`]
      : [text];
  });
  const counted =
    view.progress?.total === null ? [] : [view.progress ? progressText(view.progress) : ''];
  // Where nothing is counted, the line above says it already.
  const note = view.progress?.total === null ? '' : (view.progress?.note ?? '');
  const parts = [...(view.loss.last === null ? counted : []), ...texts, note].filter(
    (part) => part !== '',
  );
  return truncate(parts.join('   '), width);
};

const plotWidth = 60;

const plotLines = (view: StepView, width: number, height: number, theme: Theme): string[] => {
  const { points } = view.loss;
  if (points.length < 4 || width < 30 || height < 1) return [];
  const high = fixed(Math.max(...points), 2);
  const low = fixed(Math.min(...points), 2);
  const labels = Math.max(high.length, low.length);
  const evaluation =
    view.evaluation === null
      ? ''
      : `  val ${fixed(view.evaluation.loss, 3)} @${view.evaluation.at}`;
  const room = Math.min(plotWidth, width - labels - 1 - evaluation.length);
  const { progress } = view;
  const share =
    progress === null || progress.total === null || progress.total === 0
      ? 1
      : Math.min(1, progress.done / progress.total);
  const lines = braille(points, room, height, share);
  return lines.map((line, i) => {
    const label = i === 0 ? high : i === lines.length - 1 ? low : '';
    const tail = i === lines.length - 1 ? evaluation : '';
    return `${theme.dim(pad(label, labels, 'right'))} ${theme.running(line)}${tail}`;
  });
};

const progressLines = (view: StepView, width: number, height: number, theme: Theme): string[] =>
  [
    barLine(view, width, theme),
    valuesLine(view, width),
    ...plotLines(view, width, Math.min(3, height - 2), theme),
  ].filter((line) => line !== '');

const logLines = (view: StepView, width: number, height: number, theme: Theme): string[] => {
  const lines = view.log.slice(-(height - 1)).map((line) => truncate(line, width));
  return [
    `${theme.bold(view.plan.step)}  ${theme.dim('log')}`,
    ...(lines.length === 0 ? [theme.dim('it has said nothing yet')] : lines),
  ];
};

const whyLines = (view: StepView, width: number, theme: Theme): string[] => {
  const { status } = view.plan;
  const reason =
    status.kind === 'stale'
      ? status.reason
      : status.kind === 'depends'
        ? `depends on what comes out of ${status.on.join(', ')}`
        : 'in the cache';
  const after = view.plan.after.length === 0 ? 'nothing' : view.plan.after.join(', ');
  const facts: [string, string][] = [
    ['why', view.reason || reason],
    ['needs', after],
    ...(view.key === null ? [] : [['key', shortKey(view.key)] satisfies [string, string]]),
    ...(view.plan.expectedMs === null
      ? []
      : [['before', duration(view.plan.expectedMs)] satisfies [string, string]]),
  ];
  return [
    `${theme.bold(view.plan.step)}  ${theme.dim(view.plan.uses)}`,
    ...facts.flatMap(([label, text]) =>
      wrapWords(text, width - 8).map((line, i) => `${pad(i === 0 ? label : '', 8)}${line}`),
    ),
  ];
};

const helpLines: readonly string[] = [
  '↑ ↓      choose a step',
  'l        its log',
  'w        why it runs',
  'q        stop: save checkpoints and end (Ctrl-C is the same)',
  'Ctrl-C   once: stop as above; twice: stop now',
  '?        this help; Esc closes',
];

export const panelLines = (
  kind: PanelKind,
  view: StepView,
  room: { readonly width: number; readonly height: number },
  theme: Theme,
): string[] => {
  const { width, height } = room;
  switch (kind) {
    case 'progress':
      return progressLines(view, width, height, theme).slice(0, height);
    case 'log':
      return logLines(view, width, height, theme).slice(0, height);
    case 'why':
      return whyLines(view, width, theme).slice(0, height);
    case 'help':
      return helpLines.slice(0, height).map((line) => truncate(line, width));
  }
};
