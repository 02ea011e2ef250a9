// Learning-rate schedules of transformers' optimization.py: a factor on the learning rate for each optimiser step,
// the first step being 0 (so with warm-up the first update has rate 0, as there).

export const schedulerTypes = [
  'linear',
  'cosine',
  'cosine_with_restarts',
  'cosine_with_min_lr',
  'polynomial',
  'constant',
  'constant_with_warmup',
  'inverse_sqrt',
] as const;
export type SchedulerType = (typeof schedulerTypes)[number];

export interface ScheduleOptions {
  readonly type: SchedulerType;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
  /** `lr_scheduler_kwargs`, with the reference's names. */
  readonly num_cycles?: number;
  readonly min_lr?: number;
  readonly min_lr_rate?: number;
  readonly power?: number;
  readonly lr_end?: number;
  readonly timescale?: number;
}

/** The learning rate that optimiser step `step` (0-based) uses. */
export const learningRate = (options: ScheduleOptions, step: number): number =>
  options.learningRate * factor(options, step);

const factor = (options: ScheduleOptions, step: number): number => {
  const { type, warmupSteps, totalSteps } = options;
  if (type === 'constant') return 1;
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  const progress = (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps);
  switch (type) {
    case 'constant_with_warmup':
      return 1;
    case 'linear':
      return Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));
    case 'cosine':
      return Math.max(0, halfCosine((options.num_cycles ?? 0.5) * 2 * progress));
    case 'cosine_with_min_lr': {
      const minimum = options.min_lr_rate ?? (options.min_lr ?? 0) / options.learningRate;
      const wave = halfCosine((options.num_cycles ?? 0.5) * 2 * progress);
      return Math.max(0, wave * (1 - minimum) + minimum);
    }
    case 'cosine_with_restarts':
      return progress >= 1
        ? 0
        : Math.max(0, halfCosine(((options.num_cycles ?? 1) * progress) % 1));
    case 'polynomial': {
      const end = options.lr_end ?? 1e-7;
      if (step > totalSteps) return end / options.learningRate;
      const range = options.learningRate - end;
      return (range * (1 - progress) ** (options.power ?? 1) + end) / options.learningRate;
    }
    case 'inverse_sqrt': {
      const timescale = options.timescale ?? (warmupSteps === 0 ? 10_000 : warmupSteps);
      return 1 / Math.sqrt((step + timescale - warmupSteps) / timescale);
    }
  }
};

/** 1 at 0, 0 at 1, and back. */
const halfCosine = (turns: number): number => 0.5 * (1 + Math.cos(Math.PI * turns));

/** `warmup_steps` wins over `warmup_ratio`, as in TrainingArguments. */
export const warmupSteps = (steps: number, ratio: number, totalSteps: number): number =>
  steps > 0 ? steps : Math.ceil(totalSteps * ratio);
