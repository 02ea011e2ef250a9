// Runs lora-train: opens model and rows, hands them to the loop, writes what came out. Progress, checkpoints and
// measurements pass through here; the training itself is models/train.

import { StepError, type InputArtifact, type StepContext } from '../../engine/step.ts';
import { openModel } from '../../models/model.ts';
import { labelCount } from '../../models/train/batches.ts';
import { loadState } from '../../models/train/checkpoint.ts';
import type { TrainingJob, TrainingResult } from '../../models/train/loop.ts';
import { Diverged, train } from '../../models/train/loop.ts';
import { estimateMemory, trainingWeights } from '../../models/train/memory.ts';
import { warmupSteps } from '../../models/train/schedule.ts';
import { namedTensors, totalLength } from '../../models/train/trainables.ts';
import { torchGenerator } from '../../random/torch.ts';
import { stream } from '../../random/threefry.ts';
import type { TrainingDocument } from '../../schemas/artifact.ts';
import { foreseen } from '../model-errors.ts';
import { requireFits } from '../memory.ts';
import { writeDocument } from '../rows.ts';
import { observer, report } from './observe.ts';
import { tokenise, type TokenisedRows } from './rows.ts';
import { settingsOf, type TrainSettings } from './settings.ts';
import { startOf } from './start.ts';
import { writeTrainedAdapter, writeTrainedModel } from './write.ts';

export const run = async (context: StepContext): Promise<void> => {
  try {
    await fineTune(context);
  } catch (error) {
    throw error instanceof Diverged ? divergence(error, context) : foreseen(error);
  }
};

const fineTune = async (context: StepContext): Promise<void> => {
  const settings = settingsOf(context.params);
  const note = (text: string): void => {
    context.progress({ unit: 'step', done: 0, total: null, note: text });
  };

  const input = context.input('model');
  const model = openModel(input);
  const { config, document } = model;
  const full = settings.method === 'full';
  if (full && document.quantization !== null)
    throw new StepError(
      'E581',
      'every weight of a quantised model cannot be trained',
      'use method: lora',
    );

  note('reading rows');
  const maxLength = Math.min(settings.maxLength ?? 1024, config.maxPositions);
  const tokenizer = await model.tokenizer();
  const read = (artifact: InputArtifact): Promise<TokenisedRows> =>
    tokenise(artifact, model, tokenizer, settings, maxLength);
  const data = await read(context.input('data'));
  const validationInput = context.optionalInput('validation');
  const validation = validationInput === null ? null : await read(validationInput);
  for (const { reason, count } of [...data.dropped, ...(validation?.dropped ?? [])])
    context.warn(`${count} rows are left out: ${reason}`);
  requireRows(data, validation, settings);

  note('loading weights');
  const mode = full ? 'float32' : trainingWeights(config, document.quantization !== null);
  const weights = model.weights(mode, context.derived);
  const { adapter, trainables, initial } = startOf(context, settings, weights, config);
  const job: TrainingJob = {
    model: {
      config,
      weights,
      trainables,
      adapter,
      recompute: settings.recompute,
      noiseAlpha: settings.noiseAlpha,
    },
    initial,
    rows: data.rows,
    plan: {
      epochs: settings.epochs,
      maxSteps: settings.maxSteps,
      batchSize: settings.batchSize,
      accumulation: settings.accumulation,
      packTo: settings.packing ? maxLength : null,
      order: (epoch) => rowOrder(settings.shuffle, context.seed, epoch, data.rows.length),
    },
    seed: context.seed,
    optimizer: settings.optimizer,
    schedule: settings.schedule,
    warmup: (steps) => warmupSteps(settings.warmupSteps, settings.warmupRatio, steps),
    maxGradNorm: settings.maxGradNorm,
    validation:
      validation === null
        ? null
        : {
            rows: validation.rows,
            everySteps: settings.evalSteps,
            patience: settings.patience,
            keepBest: settings.keepBest,
          },
    saveEverySteps: settings.saveSteps,
    threads: context.threads,
  };
  requireMemory(context, job);
  const saved = context.checkpoint.load();
  const state = saved === null ? null : loadState(saved, initial.length);
  if (state !== null) context.log(`going on after step ${state.progress.step}`);
  const watch = observer(context);
  const result = await train(job, watch.host, state);

  const output = context.output(full ? 'model' : 'adapter');
  const tensors = namedTensors(trainables, result.parameters);
  if (adapter === null) await writeTrainedModel(output, input, model, tensors);
  else writeTrainedAdapter(output, model, adapter, tensors);
  writeDocument(output, 'training.json', trainingDocument(input, data, result, settings));
  context.measure('trainable_parameters', initial.length, 'parameters');
  watch.measure();
  report(context, result);
};

const rowOrder = (
  shuffle: TrainSettings['shuffle'],
  seed: number,
  epoch: number,
  rows: number,
): readonly number[] => {
  switch (shuffle) {
    case 'mesa':
      return stream(seed, 'training order', epoch).permutation(rows);
    case 'torch':
      return torchGenerator(seed + epoch).randperm(rows);
    case 'sequential':
      return Array.from({ length: rows }, (_, index) => index);
  }
};

const requireRows = (
  data: TokenisedRows,
  validation: TokenisedRows | null,
  settings: TrainSettings,
): void => {
  if (data.rows.length === 0)
    throw new StepError('E580', 'there is no row to learn from', 'raise max_length?');
  if (validation !== null) {
    if (validation.rows.length === 0)
      throw new StepError('E580', 'there is no row to validate with', 'raise max_length?');
    if (validation.format.digest !== data.format.digest)
      throw new StepError(
        'E582',
        'training and validation prompts are made with different templates',
        'format both with the same template, chat template and system text',
      );
    return;
  }
  if (settings.evalSteps > 0 || settings.keepBest || settings.patience > 0)
    throw new StepError(
      'E583',
      'eval_steps, load_best_model_at_end and early_stopping_patience need validation rows',
      'give the step an input `validation`',
    );
};

/** A run that can't fit is refused before it fills the machine. */
const requireMemory = (context: StepContext, { model, rows, plan }: TrainingJob): void => {
  const longest = Math.max(...rows.map(({ tokens }) => tokens.length));
  const all = rows.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const tokens = Math.min(all, plan.batchSize * (plan.packTo ?? longest));
  const labels = rows.reduce((sum, row) => sum + labelCount(row), 0);
  const estimate = estimateMemory(model.config, model.weights, {
    tokens,
    length: longest,
    labels: Math.ceil((tokens * labels) / all),
    trainedElements: totalLength(model.trainables),
    full: model.adapter === null,
    recompute: model.recompute,
    dropout: (model.adapter?.config.lora_dropout ?? 0) > 0,
  });
  context.measure('estimated_memory', estimate, 'bytes');
  requireFits(
    estimate,
    'training',
    'set gradient_checkpointing: true, lower max_length or per_device_train_batch_size, or quantise the model first',
  );
};

const trainingDocument = (
  model: InputArtifact,
  data: TokenisedRows,
  result: TrainingResult,
  settings: TrainSettings,
): TrainingDocument => ({
  base_model: model.digest,
  format: data.format.digest,
  rows: { trained: data.rows.length, dropped: data.dropped },
  log: result.log,
  evaluations: result.validation.map(({ step, eval_loss: loss }) => ({ step, loss })),
  stopped: result.stoppedEarly
    ? 'early-stopping'
    : settings.maxSteps > 0
      ? 'max-steps'
      : 'finished',
  kept_step: settings.keepBest && result.best !== null ? result.best.step : result.log.length,
});

const divergence = (error: Diverged, context: StepContext): StepError => {
  const rate = Number(context.params['learning_rate'] ?? 2e-4);
  return new StepError(
    'E502',
    error.message,
    `a smaller learning_rate (now ${rate}) or max_grad_norm usually helps; the last checkpoint from before is kept`,
  );
};
