// Which lines the live part holds in a terminal of a given size. It must stay lower than the terminal, or the terminal
// scrolls it away and can't be drawn over: running steps come first, then the next few that wait, then a count.

import { count, elapsed } from '../format.ts';
import { stoppingText } from '../plain.ts';
import { truncate } from '../table.ts';
import type { Theme } from '../theme.ts';
import { layoutFor, stepLine } from './lines.ts';
import { panelLines, type PanelKind } from './panel.ts';
import { counts, liveSteps, waitsOn, type StepView, type TuiState } from './state.ts';

export interface Frame {
  readonly steps: readonly string[];
  readonly panel: readonly string[];
  readonly footer: string;
}

export interface View {
  readonly columns: number;
  readonly rows: number;
  readonly now: number;
  readonly theme: Theme;
  /** Instance name the user moved to; null: whatever runs. */
  readonly selected: string | null;
  readonly panel: PanelKind;
}

const shownWaiting = 3;
const settleMs = 1500;
const borders = 2;
/** Footer, the blank line above it, and one line that stays free (terminals scroll when the last one is written). */
const reserved = 3;

/** The step the panel is about: the chosen one while it lives, else the one that trains, else the first that runs. */
export const panelStep = (state: TuiState, selected: string | null): StepView | null => {
  const live = liveSteps(state);
  const running = live.filter((view) => view.state === 'running');
  return (
    live.find((view) => view.plan.step === selected) ??
    running.find((view) => view.loss.last !== null) ??
    running[0] ??
    null
  );
};

/** Steps that are over at once would make the box come and go. */
const isWorthABox = (step: StepView, view: View): boolean =>
  step.plan.step === view.selected ||
  step.progress !== null ||
  view.now - (step.startedAt ?? view.now) > settleMs;

const keys = (columns: number): string =>
  columns >= 90 ? '↑↓ step  l log  w why  ? help  ^C stop' : columns >= 60 ? '? help  ^C stop' : '';

const footerLine = (state: TuiState, view: View): string => {
  const { theme, columns } = view;
  if (state.stopping !== null)
    return theme.warning(truncate(`stopping: ${stoppingText(state.stopping)}`, columns));
  const tally = counts(state);
  const parts = [
    `${tally.ran} ran`,
    ...(tally.cached > 0 ? [`${tally.cached} cached`] : []),
    `${tally.running} running`,
    ...(tally.waiting > 0 ? [`${tally.waiting} waiting`] : []),
    ...(tally.failed > 0 ? [`${tally.failed} failed`] : []),
    ...(tally.skipped > 0 ? [`${tally.skipped} skipped`] : []),
    ...(state.started === null ? [] : [elapsed(view.now - state.started.at)]),
  ];
  const left = parts.join(' · ');
  const right = keys(columns);
  const space = columns - left.length - right.length - 1;
  if (space < 2) return theme.dim(truncate(left, columns));
  return theme.dim(`${left}${' '.repeat(space)}${right}`);
};

const listLines = (state: TuiState, view: View, room: number): string[] => {
  const layout = layoutFor(state.started?.steps ?? [], view.columns);
  const live = liveSteps(state);
  const running = live.filter((step) => step.state === 'running');
  const waiting = live.filter((step) => step.state !== 'running');
  const chosen = waiting.findIndex((step) => step.plan.step === view.selected);
  // The chosen step stays in sight: the window of waiting steps moves with it.
  const from = Math.max(0, chosen - shownWaiting + 1);
  const space = Math.max(1, room - 1);
  const shownRunning = running.slice(0, space);
  const next = waiting.slice(
    from,
    from + Math.max(0, Math.min(shownWaiting, space - shownRunning.length)),
  );
  const shown = [...shownRunning, ...next];
  const hidden = live.length - shown.length;
  const lines = shown.map((step) =>
    stepLine(step, {
      layout,
      theme: view.theme,
      now: view.now,
      waitsOn: waitsOn(state, step),
      selected: step.plan.step === view.selected,
    }),
  );
  return hidden > 0 ? [...lines, view.theme.dim(`+ ${count(hidden, 'more step')}`)] : lines;
};

export const frameOf = (state: TuiState, view: View): Frame => {
  const about = panelStep(state, view.selected);
  const boxed =
    view.columns >= 40 &&
    view.rows >= 12 &&
    about !== null &&
    state.finished === null &&
    (view.panel !== 'progress' || isWorthABox(about, view));
  const wanted = view.panel === 'log' ? 12 : 6;
  const height = Math.min(wanted, view.rows - reserved - borders - 4);
  const panel = boxed
    ? panelLines(view.panel, about, { width: view.columns - 4, height }, view.theme)
    : [];
  const used = reserved + (panel.length > 0 ? panel.length + borders : 0);
  return {
    steps: listLines(state, view, view.rows - used - 1),
    panel,
    footer: footerLine(state, view),
  };
};

/** The names ↑ and ↓ move through. */
export const choosable = (state: TuiState): readonly string[] =>
  liveSteps(state).map((view) => view.plan.step);
