// Learning-rate schedules equal transformers'.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SchedulerType } from '../../../models/train/schedule.ts';
import { learningRate, schedulerTypes, warmupSteps } from '../../../models/train/schedule.ts';
import { readSharedJson, skipUnlessShared } from '../../shared.ts';

interface Golden {
  readonly name: SchedulerType;
  readonly warmup: number;
  readonly total: number;
  readonly extra: Readonly<Record<string, number>>;
  readonly base_lr: number;
  readonly lr_of_step_0_to_total: readonly number[];
}

const path = 'goldens/training/schedules.json';
const skip = skipUnlessShared(path);

test('every schedule of the goldens, step by step', { skip }, () => {
  const goldens = Object.entries(readSharedJson<Readonly<Record<string, Golden>>>(path));
  assert.ok(goldens.length > 0);
  for (const [name, golden] of goldens) {
    const options = {
      ...golden.extra,
      type: golden.name,
      learningRate: golden.base_lr,
      warmupSteps: golden.warmup,
      totalSteps: golden.total,
    };
    for (const [step, expected] of golden.lr_of_step_0_to_total.entries()) {
      const actual = learningRate(options, step);
      assert.ok(
        Math.abs(actual - expected) < 1e-12,
        `${name}, step ${step}: ${actual}, ${expected}`,
      );
    }
  }
  const covered = new Set(goldens.map(([, golden]) => golden.name));
  assert.deepEqual([...covered].sort(), [...schedulerTypes].sort());
});

test('warm-up by steps or by ratio', () => {
  assert.equal(warmupSteps(0, 0.1, 25), 3);
  assert.equal(warmupSteps(5, 0.1, 25), 5);
  assert.equal(warmupSteps(0, 0, 25), 0);
});
