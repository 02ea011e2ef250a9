// The training loop, from the first micro-batch to the last: read it top to bottom. Full and LoRA training are the
// same loop over other trainables. It knows nothing of files, clocks or experiments: those are the host's.

import type { TrainingRow } from './batches.ts';
import { labelCount, planSteps } from './batches.ts';
import type { PlanOptions, PlannedStep } from './batches.ts';
import type { LogEntry, Progress, TrainingState, ValidationEntry } from './checkpoint.ts';
import { initialProgress } from './checkpoint.ts';
import type { TrainingGraphOptions } from './graph.ts';
import type { AdamWOptions } from './optimizer.ts';
import { adamW, adamWState, clipScale, gradientNorm } from './optimizer.ts';
import type { Runner } from './runner.ts';
import { createRunner } from './runner.ts';
import type { ScheduleOptions } from './schedule.ts';
import { learningRate } from './schedule.ts';

export interface TrainingJob {
  readonly model: Omit<TrainingGraphOptions, 'gradients'>;
  /** Starting values of the trainables, one after the other. Changed in place. */
  readonly initial: Float32Array;
  readonly rows: readonly TrainingRow[];
  readonly plan: PlanOptions;
  readonly seed: number;
  readonly optimizer: AdamWOptions;
  readonly schedule: Omit<ScheduleOptions, 'totalSteps' | 'warmupSteps'>;
  /** Steps of warm-up, given all steps of the run. */
  readonly warmup: (totalSteps: number) => number;
  /** 0: no clipping. */
  readonly maxGradNorm: number;
  readonly validation: {
    readonly rows: readonly TrainingRow[];
    /** After every so many steps (and after the last); 0: at the end of every epoch. */
    readonly everySteps: number;
    /** Stop after so many validations in a row without a new best; 0: never. */
    readonly patience: number;
    /** End with the parameters of the best validation. */
    readonly keepBest: boolean;
  } | null;
  /** Save after every so many steps too, besides each minute or oftener where that is cheap; 0: no such steps. */
  readonly saveEverySteps: number;
  readonly threads: number;
}

export interface TrainingHost {
  readonly signal: AbortSignal;
  /** Milliseconds of any steady clock. */
  now(): number;
  /** Between steps, each minute or oftener; and when the signal asks for it. */
  save(state: TrainingState): Promise<void>;
  step(entry: LogEntry, totalSteps: number): void;
  validated(entry: ValidationEntry, totalSteps: number): void;
}

export interface TrainingResult {
  readonly parameters: Float32Array;
  readonly log: readonly LogEntry[];
  readonly validation: readonly ValidationEntry[];
  readonly best: Progress['best'];
  readonly totalSteps: number;
  readonly stoppedEarly: boolean;
}

/** The loss or a gradient is no number any more; the last checkpoint is from before. */
export class Diverged extends Error {
  override readonly name = 'Diverged';
}

/**
 * How long to train before the next checkpoint: what keeps saving below 2 % of the time, but not under two seconds,
 * and at most a minute.
 */
const saveAfterMs = (lastSaveMs: number): number =>
  Math.min(60_000, Math.max(2_000, 50 * lastSaveMs));

export const train = async (
  job: TrainingJob,
  host: TrainingHost,
  resumed: TrainingState | null,
): Promise<TrainingResult> => {
  const plan = planSteps(job.rows, job.plan);
  const state: { -readonly [K in keyof TrainingState]: TrainingState[K] } = resumed ?? {
    progress: initialProgress(),
    optimizer: adamWState(job.initial),
    gradients: new Float32Array(job.initial.length),
    bestParameters: null,
  };
  const { progress, optimizer, gradients } = state;
  const schedule: ScheduleOptions = {
    ...job.schedule,
    totalSteps: plan.length,
    warmupSteps: job.warmup(plan.length),
  };
  const evaluator = validator(job, optimizer.parameters);
  const runner = await createRunner(
    { ...job.model, gradients: true },
    optimizer.parameters,
    job.threads,
  );
  let savedAt = host.now();
  let saveMs = 0;

  try {
    while (progress.step < plan.length && !progress.stopped) {
      const planned = stepAt(plan, progress.step);

      // Forward and backward, micro-batch by micro-batch; gradients are sums over tokens.
      while (progress.micro < planned.microBatches.length) {
        if (host.signal.aborted) {
          await host.save(state);
          throw host.signal.reason;
        }
        const rows = rowsOf(job, planned.microBatches[progress.micro] ?? []);
        const key = { seed: job.seed, step: progress.step, micro: progress.micro };
        progress.lossSum += await runner.run(rows, gradients, key);
        progress.micro += 1;
      }

      // The mean over the window's tokens, clipped, then AdamW.
      const perToken = 1 / Math.max(1, planned.labelTokens);
      const loss = progress.lossSum * perToken;
      const norm = gradientNorm(gradients) * perToken;
      const rate = learningRate(schedule, progress.step);
      if (!Number.isFinite(loss) || !Number.isFinite(norm))
        throw new Diverged(
          `at step ${progress.step + 1} of ${plan.length} the loss is ${loss} and the gradient's norm ${norm}`,
        );
      adamW(optimizer, gradients, job.model.trainables, job.optimizer, {
        step: progress.step + 1,
        learningRate: rate,
        scale: perToken * clipScale(norm, job.maxGradNorm),
      });
      gradients.fill(0);
      progress.micro = 0;
      progress.lossSum = 0;
      progress.step += 1;
      const entry = {
        step: progress.step,
        epoch: planned.epoch,
        loss,
        grad_norm: norm,
        learning_rate: rate,
        tokens: tokensOf(job, planned),
        label_tokens: planned.labelTokens,
      };
      progress.log.push(entry);
      host.step(entry, plan.length);

      if (job.validation !== null && isValidated(job.validation, plan, progress.step)) {
        const result = await evaluator.loss();
        progress.validation.push({ step: progress.step, ...result });
        host.validated({ step: progress.step, ...result }, plan.length);
        if (progress.best === null || result.eval_loss < progress.best.eval_loss) {
          progress.best = { step: progress.step, eval_loss: result.eval_loss };
          progress.worseSince = 0;
          if (job.validation.keepBest) state.bestParameters = optimizer.parameters.slice();
        } else {
          progress.worseSince += 1;
          const { patience } = job.validation;
          progress.stopped = patience > 0 && progress.worseSince >= patience;
        }
      }

      const asked = job.saveEverySteps > 0 && progress.step % job.saveEverySteps === 0;
      const before = host.now();
      if (asked || before - savedAt > saveAfterMs(saveMs)) {
        await host.save(state);
        savedAt = host.now();
        saveMs = savedAt - before;
      }
    }
  } finally {
    await runner.release();
    await evaluator.release();
  }
  return {
    parameters: state.bestParameters ?? optimizer.parameters,
    log: progress.log,
    validation: progress.validation,
    best: progress.best,
    totalSteps: plan.length,
    stoppedEarly: progress.stopped,
  };
};

const stepAt = (plan: readonly PlannedStep[], step: number): PlannedStep => {
  const planned = plan[step];
  if (planned === undefined) throw new RangeError(`step ${step} of ${plan.length}`);
  return planned;
};

const rowsOf = (job: TrainingJob, indices: readonly number[]): readonly TrainingRow[] =>
  indices.flatMap((index) => job.rows[index] ?? []);

const tokensOf = (job: TrainingJob, planned: PlannedStep): number =>
  rowsOf(job, planned.microBatches.flat()).reduce((sum, row) => sum + row.tokens.length, 0);

const isValidated = (
  { everySteps }: NonNullable<TrainingJob['validation']>,
  plan: readonly PlannedStep[],
  done: number,
): boolean => {
  if (done === plan.length) return true;
  if (everySteps > 0) return done % everySteps === 0;
  return plan[done]?.epoch !== plan[done - 1]?.epoch;
};

/** The mean loss over all supervised tokens of the validation rows. Its session is made when first needed. */
const validator = (job: TrainingJob, parameters: Float32Array) => {
  let runner: Runner | undefined;
  const rows = job.validation?.rows ?? [];
  const batches = planSteps(rows, {
    ...job.plan,
    epochs: 1,
    maxSteps: 0,
    accumulation: 1,
    order: () => rows.map((_, index) => index),
  });
  return {
    async loss(): Promise<{ readonly eval_loss: number; readonly label_tokens: number }> {
      runner ??= await createRunner(
        { ...job.model, gradients: false, recompute: false },
        parameters,
        job.threads,
      );
      let sum = 0;
      for (const { microBatches } of batches)
        sum += await runner.run(
          microBatches.flat().flatMap((index) => rows[index] ?? []),
          null,
          null,
        );
      const tokens = rows.reduce((total, row) => total + labelCount(row), 0);
      return { eval_loss: sum / Math.max(1, tokens), label_tokens: tokens };
    },
    async release(): Promise<void> {
      await runner?.release();
    },
  };
};
