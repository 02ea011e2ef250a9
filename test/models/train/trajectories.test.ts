// Whole trainings follow the reference's: loss, gradient norm, learning rate and validation of every optimiser step,
// and the tensors at the end. A folder dropped into goldens/training is a test.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fitAdapter } from '../../../models/linear-lora.ts';
import { defaultLoraConfig } from '../../../models/lora.ts';
import { readFloatTensors } from '../../../models/peft-files.ts';
import type { TrainingState, ValidationEntry } from '../../../models/train/checkpoint.ts';
import type { TrainingHost, TrainingJob } from '../../../models/train/loop.ts';
import { train } from '../../../models/train/loop.ts';
import type { SchedulerType } from '../../../models/train/schedule.ts';
import {
  adapterTrainables,
  fromTensors,
  modelTrainables,
  storedValues,
  viewOf,
} from '../../../models/train/trainables.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { openGolden, readJson, rowOf } from '../golden-model.ts';
import { scratchFolder } from '../../scratch.ts';

interface Row {
  readonly prompt: readonly number[];
  readonly completion: readonly number[];
}
interface Case {
  readonly base: string;
  readonly options: {
    readonly targets: readonly string[] | null;
    readonly rank: number;
    readonly alpha: number;
    readonly batch: number;
    readonly accumulation: number;
    readonly epochs: number;
    readonly schedule: SchedulerType;
    readonly warmup: number;
    readonly lr: number;
    readonly weight_decay: number;
    readonly max_grad_norm: number;
  };
  readonly not_decayed: readonly string[];
  readonly rows: readonly Row[];
  readonly validation_rows: readonly Row[];
  readonly steps: readonly {
    readonly loss: number;
    readonly grad_norm: number;
    readonly lr: number;
    readonly label_tokens: number;
  }[];
  readonly validation: Readonly<Record<string, { readonly token_mean: number }>>;
  readonly moved_by_rounding: { readonly final_tensors: number };
}

const root = 'goldens/training';
const skip = skipUnlessShared(root);
const folders =
  skip === false
    ? readdirSync(sharedPath(root)).filter((name) =>
        existsSync(sharedPath(`${root}/${name}/case.json`)),
      )
    : ['training'];

const tolerance = 1e-4;

const jobOf = (folder: string, golden: Case): TrainingJob => {
  const { options } = golden;
  const model = openGolden(join(folder, golden.base));
  const adapter =
    options.targets === null
      ? null
      : fitAdapter(
          {
            ...defaultLoraConfig,
            r: options.rank,
            lora_alpha: options.alpha,
            target_modules: options.targets,
          },
          model.config,
          model.weights,
        );
  const trainables =
    adapter === null ? modelTrainables(model.config, model.weights) : adapterTrainables(adapter);
  const initial =
    adapter === null
      ? storedValues(trainables, model.weights)
      : fromTensors(trainables, readFloatTensors(join(folder, 'initial.safetensors')));
  const toRows = (rows: readonly Row[]) =>
    rows.map(({ prompt, completion }) => rowOf([...prompt, ...completion], prompt.length));
  const rows = toRows(golden.rows);
  return {
    model: { ...model, trainables, adapter, recompute: false, noiseAlpha: 0 },
    initial,
    rows,
    plan: {
      epochs: options.epochs,
      maxSteps: 0,
      batchSize: options.batch,
      accumulation: options.accumulation,
      packTo: null,
      order: () => rows.map((_, index) => index),
    },
    seed: 0,
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: options.weight_decay },
    schedule: { type: options.schedule, learningRate: options.lr },
    warmup: () => options.warmup,
    maxGradNorm: options.max_grad_norm,
    validation: {
      rows: toRows(golden.validation_rows),
      everySteps: 8,
      patience: 0,
      keepBest: false,
    },
    saveEverySteps: 0,
    threads: 1,
  };
};

const quietHost = (): TrainingHost => ({
  signal: new AbortController().signal,
  now: () => 0,
  save: () => Promise.resolve(),
  step: () => undefined,
  validated: () => undefined,
});

const close = (actual: number, expected: number, what: string): void => {
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1e-3, Math.abs(expected)),
    `${what}: ${actual}, expected ${expected}`,
  );
};

for (const name of folders) {
  test(`${name}: every step as the reference's`, { skip }, async () => {
    const folder = sharedPath(`${root}/${name}`);
    const golden = readJson<Case>(join(folder, 'case.json'));
    const job = jobOf(folder, golden);
    const kept = job.model.trainables.filter(({ decay }) => !decay).map((t) => t.name);
    assert.deepEqual(kept.sort(), [...golden.not_decayed].sort());

    const result = await train(job, quietHost(), null);
    assert.equal(result.log.length, golden.steps.length);
    for (const [index, expected] of golden.steps.entries()) {
      const entry = result.log[index];
      assert.ok(entry);
      close(entry.loss, expected.loss, `loss of step ${entry.step}`);
      close(entry.grad_norm, expected.grad_norm, `gradient norm of step ${entry.step}`);
      close(entry.learning_rate, expected.lr, `learning rate of step ${entry.step}`);
      assert.equal(entry.label_tokens, expected.label_tokens);
    }
    const validated = Object.entries(golden.validation).filter(([step]) => step !== '0');
    assert.equal(result.validation.length, validated.length);
    for (const [step, { token_mean }] of validated) {
      const entry: ValidationEntry | undefined = result.validation.find(
        (found) => found.step === Number(step),
      );
      close(entry?.eval_loss ?? NaN, token_mean, `validation after step ${step}`);
    }
    // Where rounding alone moves a tensor by more than the tolerance, that is the tolerance.
    const allowed = Math.max(tolerance, 3 * golden.moved_by_rounding.final_tensors);
    for (const reference of readFloatTensors(join(folder, 'final.safetensors')).values()) {
      // The key third of GPT-2's bias has no gradient in exact arithmetic; AdamW makes full steps of the rounding.
      if (name === 'gpt2-full' && reference.name.endsWith('c_attn.bias')) continue;
      const trainable = job.model.trainables.find((found) => found.name === reference.name);
      assert.ok(trainable, reference.name);
      const difference = largestDifference(
        viewOf(result.parameters, trainable),
        inOurLayout(reference.name, reference.data, reference.shape, trainable.shape),
      );
      assert.ok(difference < allowed, `${reference.name} differs by ${difference}`);
    }
  });
}

/** GPT-2's files hold Conv1D weights as [in, out]. */
const inOurLayout = (
  name: string,
  data: Float32Array,
  shape: readonly number[],
  ours: readonly number[],
): Float32Array => {
  const conv = /\.(?:c_attn|c_proj|c_fc)\.weight$/.test(name) && !name.includes('lora');
  if (!conv) return data;
  const [rows = 0, columns = 0] = shape;
  assert.deepEqual(ours, [columns, rows]);
  return Float32Array.from(
    data,
    (_, i) => data[(i % rows) * columns + Math.floor(i / rows)] ?? NaN,
  );
};

const largestDifference = (actual: Float32Array, expected: Float32Array): number => {
  assert.equal(actual.length, expected.length);
  return actual.reduce(
    (largest, value, i) => Math.max(largest, Math.abs(value - (expected[i] ?? NaN))),
    0,
  );
};

test('gradient checkpointing with dropout gives the same bits', { skip }, async () => {
  const folder = sharedPath(`${root}/llama-lora-accumulation`);
  const job = (recompute: boolean): TrainingJob => {
    const base = jobOf(folder, readJson<Case>(join(folder, 'case.json')));
    const { adapter } = base.model;
    assert.ok(adapter);
    const dropped = { ...adapter, config: { ...adapter.config, lora_dropout: 0.2 } };
    return { ...base, model: { ...base.model, adapter: dropped, recompute } };
  };
  const kept = await train(job(false), quietHost(), null);
  const recomputed = await train(job(true), quietHost(), null);
  assert.deepEqual(recomputed.log, kept.log);
  assert.deepEqual(recomputed.parameters, kept.parameters);
  const folderOfFull = sharedPath(`${root}/llama-full`);
  const full = (recompute: boolean): TrainingJob => {
    const base = jobOf(folderOfFull, readJson<Case>(join(folderOfFull, 'case.json')));
    return { ...base, model: { ...base.model, recompute } };
  };
  const whole = await train(full(false), quietHost(), null);
  const wholeAgain = await train(full(true), quietHost(), null);
  assert.deepEqual(wholeAgain.parameters, whole.parameters);
});

test(
  'a run stopped between any two micro-batches and resumed gives the same bits',
  { skip },
  async () => {
    const folder = sharedPath(`${root}/llama-lora-accumulation`);
    const golden = readJson<Case>(join(folder, 'case.json'));
    const { saveState, loadState } = await import('../../../models/train/checkpoint.ts');
    const job = (): TrainingJob => {
      const base = jobOf(folder, golden);
      const { adapter } = base.model;
      assert.ok(adapter);
      const dropped = { ...adapter, config: { ...adapter.config, lora_dropout: 0.1 } };
      return {
        ...base,
        model: { ...base.model, adapter: dropped },
        plan: { ...base.plan, epochs: 1 },
        seed: 7,
      };
    };
    const whole = await train(job(), quietHost(), null);
    assert.equal(whole.log.length, 6);

    for (const stopAfter of [1, 2, 5, 9, 20]) {
      const controller = new AbortController();
      const file = scratchFolder('test-resume');
      const seen: TrainingState[] = [];
      let checks = 0;
      // The signal is looked at once before every micro-batch.
      const signal = new Proxy(controller.signal, {
        get: (target, key) => {
          if (key === 'aborted' && ++checks > stopAfter) controller.abort(new Error('stop'));
          return Reflect.get(target, key, target) as unknown;
        },
      });
      const stopped = train(
        job(),
        {
          ...quietHost(),
          signal,
          save: (state) => {
            saveState(file, state);
            seen.push(state);
            return Promise.resolve();
          },
        },
        null,
      );
      await assert.rejects(stopped, /stop/);
      assert.equal(seen.length, 1);
      const resumed = job();
      const result = await train(resumed, quietHost(), loadState(file, resumed.initial.length));
      assert.deepEqual(result.log, whole.log);
      assert.deepEqual(result.parameters, whole.parameters);
      assert.deepEqual(result.validation, whole.validation);
    }
  },
);
