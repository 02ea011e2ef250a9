// AdamW and clipping equal PyTorch's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adamW, adamWState, clipScale, gradientNorm } from '../../../models/train/optimizer.ts';
import { readSharedJson, skipUnlessShared } from '../../shared.ts';

interface Golden {
  readonly start: readonly number[];
  readonly gradients: readonly (readonly number[])[];
  readonly adamw: readonly {
    readonly lr: number;
    readonly weight_decay: number;
    readonly dtype: string;
    readonly parameters: readonly (readonly number[])[];
    readonly final_exp_avg: readonly number[];
    readonly final_exp_avg_sq: readonly number[];
  }[];
  readonly clip_grad_norm_of_gradients_0_and_1: readonly {
    readonly max_norm: number;
    readonly norm: number;
    readonly clipped: readonly (readonly number[])[];
  }[];
}

const path = 'goldens/training/optimizer.json';
const skip = skipUnlessShared(path);

/** Within 2e-6 of the value, or of `size` where that is larger: rounding is relative to what was added up. */
const close = (
  actual: ArrayLike<number>,
  expected: readonly number[],
  what: string,
  size = 0,
): void => {
  for (const [i, value] of expected.entries()) {
    const difference = Math.abs((actual[i] ?? NaN) - value);
    const allowed = 2e-6 * Math.max(size, Math.abs(value));
    assert.ok(difference <= allowed, `${what}[${i}]: ${actual[i]}, ${value}`);
  }
};

test('ten AdamW steps, with and without decay', { skip }, () => {
  const golden = readSharedJson<Golden>(path);
  for (const run of golden.adamw) {
    const state = adamWState(Float32Array.from(golden.start));
    const size = golden.start.length;
    const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: run.weight_decay };
    for (const [index, gradient] of golden.gradients.entries()) {
      const update = { step: index + 1, learningRate: run.lr, scale: 1 };
      const ranges = [{ offset: 0, length: size, decay: true }];
      adamW(state, Float32Array.from(gradient), ranges, options, update);
      close(state.parameters, run.parameters[index] ?? [], `step ${index + 1}`, 0.1);
    }
    close(state.exp_avg, run.final_exp_avg, 'exp_avg');
    close(state.exp_avg_sq, run.final_exp_avg_sq, 'exp_avg_sq');
  }
});

test('what does not decay keeps its length', () => {
  const state = adamWState(Float32Array.from([1, 1]));
  adamW(
    state,
    new Float32Array(2),
    [
      { offset: 0, length: 1, decay: true },
      { offset: 1, length: 1, decay: false },
    ],
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5 },
    { step: 1, learningRate: 0.1, scale: 1 },
  );
  assert.deepEqual([...state.parameters], [Math.fround(0.95), 1]);
});

test('clipping by the norm of all gradients together', { skip }, () => {
  const golden = readSharedJson<Golden>(path);
  const gradients = Float32Array.from(golden.gradients.slice(0, 2).flat());
  for (const expected of golden.clip_grad_norm_of_gradients_0_and_1) {
    const norm = gradientNorm(gradients);
    close([norm], [expected.norm], 'norm');
    const scale = clipScale(norm, expected.max_norm);
    close(
      gradients.map((value) => value * scale),
      expected.clipped.flat(),
      'clipped',
    );
  }
  assert.equal(clipScale(100, 0), 1);
});
