// The live screen's state: a pure function of the events so far, known without Ink. Events come in bursts (a training
// step may say something a hundred times a second), so a whole burst is folded in at once, with one copy.

import type {
  EventOf,
  Failure,
  PlannedStep,
  Provenance,
  RunEvent,
  StepResult,
} from '../../schemas/event.ts';
import { addPoint, noSeries, type Series } from '../series.ts';
import { addSample, noPace, type Pace } from '../pace.ts';

export type StepState =
  | 'waiting'
  | 'running'
  /** Another process computes the same key. */
  | 'held'
  | 'cached'
  | 'ran'
  | 'failed'
  | 'skipped'
  | 'interrupted';

export interface StepView {
  readonly plan: PlannedStep;
  readonly state: StepState;
  readonly key: string | null;
  readonly reason: string;
  readonly attempt: number;
  readonly resumed: boolean;
  readonly startedAt: number | null;
  readonly durationMs: number | null;
  readonly progress: Omit<EventOf<'step-progress'>, 'event' | 'at' | 'step'> | null;
  readonly pace: Pace;
  readonly loss: Series;
  /** The newest validation loss and where it was taken. */
  readonly evaluation: { readonly at: number; readonly loss: number } | null;
  readonly log: readonly string[];
  readonly result: StepResult | null;
  readonly made: Provenance | null;
  readonly failure: Failure | null;
  /** Why it was skipped, what was kept, who holds it. */
  readonly note: string;
}

export interface TuiState {
  readonly started: EventOf<'run-started'> | null;
  readonly steps: ReadonlyMap<string, StepView>;
  /** Lines that no longer change, in the order they came to be: they go to the scrollback once. */
  readonly settled: readonly Settled[];
  /** Cached steps are counted instead of listed where there are many. */
  readonly listCached: boolean;
  readonly stopping: EventOf<'run-stopping'> | null;
  readonly finished: EventOf<'run-finished'> | null;
}

export type Settled =
  | { readonly kind: 'step'; readonly view: StepView }
  | { readonly kind: 'note'; readonly tone: 'warning' | 'dim'; readonly text: string }
  | { readonly kind: 'cached'; readonly count: number };

export interface Counts {
  readonly cached: number;
  readonly ran: number;
  readonly running: number;
  readonly waiting: number;
  readonly failed: number;
  readonly skipped: number;
}

const keptLogLines = 500;
const manyCached = 30;

export const initialState: TuiState = {
  started: null,
  steps: new Map(),
  settled: [],
  listCached: true,
  stopping: null,
  finished: null,
};

const waiting = (plan: PlannedStep): StepView => ({
  plan,
  state: 'waiting',
  key: plan.status.kind === 'depends' ? null : plan.status.key,
  reason: plan.status.kind === 'stale' ? plan.status.reason : '',
  attempt: 0,
  resumed: false,
  startedAt: null,
  durationMs: null,
  progress: null,
  pace: noPace,
  loss: noSeries,
  evaluation: null,
  log: [],
  result: null,
  made: null,
  failure: null,
  note: '',
});

/** What is over stays over: a late or repeated event of a settled step changes nothing. */
const isSettled = (state: StepState): boolean =>
  state !== 'waiting' && state !== 'running' && state !== 'held';

interface Draft {
  readonly steps: Map<string, StepView>;
  readonly settled: Settled[];
  rest: Pick<TuiState, 'started' | 'listCached' | 'stopping' | 'finished'>;
  unlisted: number;
}

const update = (
  draft: Draft,
  step: string,
  change: (view: StepView) => Partial<StepView>,
): void => {
  const view = draft.steps.get(step);
  if (view === undefined || isSettled(view.state)) return;
  const next = { ...view, ...change(view) };
  draft.steps.set(step, next);
  if (!isSettled(next.state)) return;
  if (next.state === 'cached' && !draft.rest.listCached) draft.unlisted += 1;
  else draft.settled.push({ kind: 'step', view: next });
};

const withLog = (view: StepView, text: string): readonly string[] => [
  ...view.log.slice(-(keptLogLines - 1)),
  text,
];

const onProgress = (view: StepView, event: EventOf<'step-progress'>): Partial<StepView> => {
  const { event: _name, at, step: _step, ...progress } = event;
  const loss = event.values?.['loss'];
  const evaluated = event.values?.['eval_loss'];
  return {
    // Progress without a start (a reader that joined late) is a start.
    state: 'running',
    startedAt: view.startedAt ?? at,
    // Values that one event leaves out stay on the screen.
    progress: { ...progress, values: { ...view.progress?.values, ...event.values } },
    pace: addSample(view.pace, at, event.done),
    loss: loss === undefined ? view.loss : addPoint(view.loss, loss),
    evaluation: evaluated === undefined ? view.evaluation : { at: event.done, loss: evaluated },
  };
};

const apply = (draft: Draft, event: RunEvent): void => {
  switch (event.event) {
    case 'run-started': {
      const fresh = event.steps.filter(({ status }) => status.kind === 'fresh').length;
      draft.rest = { ...draft.rest, started: event, listCached: fresh <= manyCached };
      for (const plan of event.steps)
        if (!draft.steps.has(plan.step)) draft.steps.set(plan.step, waiting(plan));
      return;
    }
    case 'step-cached':
      update(draft, event.step, () => ({
        state: 'cached',
        key: event.result.key,
        result: event.result,
        made: event.made,
      }));
      return;
    case 'step-started':
      update(draft, event.step, (view) => ({
        state: 'running',
        key: event.key,
        reason: event.reason,
        attempt: event.attempt,
        resumed: event.resumed,
        startedAt: event.at,
        progress: null,
        pace: noPace,
        note: '',
        log: event.attempt > 1 ? withLog(view, `attempt ${event.attempt}`) : view.log,
      }));
      return;
    case 'step-progress':
      update(draft, event.step, (view) => onProgress(view, event));
      return;
    case 'step-log':
      update(draft, event.step, (view) => ({ log: withLog(view, event.text) }));
      if (event.level === 'warning')
        draft.settled.push({ kind: 'note', tone: 'warning', text: `${event.step}: ${event.text}` });
      return;
    case 'step-waiting':
      update(draft, event.step, () => ({ state: 'held', key: event.key, note: event.holder }));
      return;
    case 'checkpoint-saved':
      update(draft, event.step, (view) => ({
        log: withLog(view, `checkpoint saved: ${event.note}`),
        note: event.note,
      }));
      return;
    case 'step-finished':
      update(draft, event.step, () => ({
        state: 'ran',
        key: event.result.key,
        result: event.result,
        durationMs: event.durationMs,
      }));
      return;
    case 'step-failed':
      if (event.willRetry) {
        update(draft, event.step, () => ({ state: 'waiting', note: 'trying again' }));
        return;
      }
      update(draft, event.step, () => ({
        state: 'failed',
        failure: event.failure,
        durationMs: event.durationMs,
        note: event.kept ?? '',
      }));
      return;
    case 'step-skipped':
      update(draft, event.step, () => ({ state: 'skipped', note: event.because }));
      return;
    case 'step-interrupted':
      update(draft, event.step, () => ({
        state: 'interrupted',
        durationMs: event.durationMs,
        note: event.kept ?? '',
      }));
      return;
    case 'cache-damaged':
      draft.settled.push({
        kind: 'note',
        tone: 'warning',
        text: `${event.step}: ${event.message}; dropped from the cache and computed again`,
      });
      return;
    case 'warning':
      draft.settled.push({ kind: 'note', tone: 'warning', text: event.diagnostic.message });
      return;
    case 'run-stopping':
      draft.rest = { ...draft.rest, stopping: event };
      return;
    case 'run-finished':
      draft.rest = { ...draft.rest, finished: event };
      return;
  }
};

export const reduceAll = (state: TuiState, events: readonly RunEvent[]): TuiState => {
  if (events.length === 0) return state;
  const { steps, settled, ...rest } = state;
  const draft: Draft = { steps: new Map(steps), settled: [], rest, unlisted: 0 };
  for (const event of events) apply(draft, event);
  const cached: Settled[] = draft.unlisted === 0 ? [] : [{ kind: 'cached', count: draft.unlisted }];
  return { ...draft.rest, steps: draft.steps, settled: [...settled, ...cached, ...draft.settled] };
};

export const reduce = (state: TuiState, event: RunEvent): TuiState => reduceAll(state, [event]);

export const counts = (state: TuiState): Counts => {
  const tally = { cached: 0, ran: 0, running: 0, waiting: 0, failed: 0, skipped: 0 };
  for (const { state: of } of state.steps.values()) {
    if (of === 'held') tally.waiting += 1;
    else if (of === 'interrupted') tally.skipped += 1;
    else tally[of] += 1;
  }
  return tally;
};

/** Steps the first of whose needs still run: what a waiting step waits on. */
export const waitsOn = (state: TuiState, view: StepView): readonly string[] =>
  view.plan.after.filter((name) => {
    const needed = state.steps.get(name);
    return needed !== undefined && needed.state !== 'cached' && needed.state !== 'ran';
  });

/** The order on screen of what isn't settled: running first, then waiting in the order of the plan. */
export const liveSteps = (state: TuiState): readonly StepView[] => {
  const open = [...state.steps.values()].filter((view) => !isSettled(view.state));
  return [
    ...open.filter((view) => view.state === 'running'),
    ...open.filter((view) => view.state !== 'running'),
  ];
};
