// What a person sees of a training, while it runs and afterwards. Nothing of it reaches the artifact.

import { monotonicMs, type StepContext } from '../../engine/step.ts';
import { saveState } from '../../models/train/checkpoint.ts';
import type { TrainingHost, TrainingResult } from '../../models/train/loop.ts';

/** The loop's host in a step: progress, checkpoints, and speed measured at the end. */
export const observer = (
  context: StepContext,
): { readonly host: TrainingHost; readonly measure: () => void } => {
  const started = monotonicMs();
  let tokens = 0;
  let steps = 0;
  let lastStep = started;
  let validated: Readonly<Record<string, number>> = {};
  const host: TrainingHost = {
    signal: context.signal,
    now: monotonicMs,
    save: (state) =>
      context.checkpoint.save((folder) => {
        saveState(folder, state);
      }),
    step: (entry, totalSteps) => {
      const now = monotonicMs();
      const seconds = Math.max(1e-3, (now - lastStep) / 1000);
      lastStep = now;
      tokens += entry.tokens;
      steps += 1;
      context.progress({
        unit: 'step',
        done: entry.step,
        total: totalSteps,
        values: {
          loss: entry.loss,
          grad_norm: entry.grad_norm,
          learning_rate: entry.learning_rate,
          tokens_per_second: entry.tokens / seconds,
          ...validated,
        },
      });
      validated = {};
    },
    validated: (entry, totalSteps) => {
      validated = { eval_loss: entry.eval_loss };
      context.progress({ unit: 'step', done: entry.step, total: totalSteps, values: validated });
      lastStep = monotonicMs();
    },
  };
  return {
    host,
    measure: () => {
      const seconds = (lastStep - started) / 1000;
      if (steps > 0 && seconds > 0)
        context.measure('tokens_per_second', tokens / seconds, 'tokens/s');
      context.measure('trained_tokens', tokens, 'tokens');
    },
  };
};

export const report = (context: StepContext, result: TrainingResult): void => {
  const { log, validation } = result;
  const first = log[0];
  const last = log.at(-1);
  if (first === undefined || last === undefined) return;
  const evaluated = validation.at(-1);
  const tail = evaluated === undefined ? '' : `, validation ${evaluated.eval_loss.toFixed(3)}`;
  context.report({
    kind: 'headline',
    text: `loss ${first.loss.toFixed(3)} -> ${last.loss.toFixed(3)} in ${log.length} steps${tail}`,
  });
  const series = (
    title: string,
    y: string,
    points: readonly (readonly [number, number])[],
  ): void => {
    context.report({ kind: 'series', title, x: 'step', y, points });
  };
  series(
    'training loss',
    'loss',
    log.map(({ step, loss }) => [step, loss]),
  );
  if (validation.length > 0)
    series(
      'validation loss',
      'loss',
      validation.map(({ step, eval_loss: loss }) => [step, loss]),
    );
  series(
    'learning rate',
    'learning rate',
    log.map(({ step, learning_rate: rate }) => [step, rate]),
  );
  series(
    'gradient norm',
    'norm',
    log.map(({ step, grad_norm: norm }) => [step, norm]),
  );
};
