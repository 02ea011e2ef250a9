// The command to type next, after a run: the failed step's log, the samples that were answered wrongly, or the run.

import { typedName } from './format.ts';
import type { RunResults } from './results.ts';

export interface RunEnd {
  readonly run: string;
  readonly status: 'ok' | 'failed' | 'gate-failed' | 'interrupted';
  readonly failedStep: string | null;
  /** How MESA is called: `mesa`, or `npx mesa`. */
  readonly program: string;
  /** What was typed, to be typed again. */
  readonly command: string;
}

/** Metrics whose value per row is 0 for a wrong answer. */
const rightOrWrong = ['exact_match', 'option_accuracy', 'accuracy', 'quasi_exact_match'];

export const nextCommand = (end: RunEnd, results: RunResults): string => {
  if (end.status === 'interrupted') return end.command;
  if (end.failedStep !== null)
    return `${end.program} show ${end.run}/${typedName(end.failedStep)} --log`;
  const candidates = results.comparisons.flatMap(({ candidates: all }) => all);
  const scored = [...candidates, ...results.scores];
  for (const { step, document } of scored) {
    const metric = rightOrWrong.find((name) => document !== null && name in document.metrics);
    if (metric !== undefined)
      return `${end.program} show ${end.run}/${typedName(step)} --samples '${metric}=0'`;
  }
  return `${end.program} show ${end.run}`;
};
