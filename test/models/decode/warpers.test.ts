// Warped logits against transformers' (goldens/generation/warpers.json), and top-p against its definition.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { greedy, type Decoding } from '../../../models/decode/parameters.ts';
import { argmax, process, rowStream, sampler, warp } from '../../../models/decode/sampling.ts';
import { keepTopK, keepTopP } from '../../../models/decode/warpers.ts';
import { readSharedJson, skipUnlessShared } from '../../shared.ts';

interface Golden {
  readonly logits: readonly (readonly number[])[];
  readonly ids_so_far: readonly (readonly number[])[];
  readonly after: Readonly<
    Record<string, { readonly logits: readonly (readonly (number | null)[])[] }>
  >;
}

type Knob = 'temperature' | 'topK' | 'topP' | 'minP' | 'repetitionPenalty' | 'noRepeatNgramSize';

const fields: Readonly<Record<string, Knob>> = {
  temperature: 'temperature',
  top_k: 'topK',
  top_p: 'topP',
  min_p: 'minP',
  repetition_penalty: 'repetitionPenalty',
  no_repeat_ngram_size: 'noRepeatNgramSize',
};

/** `repetition_penalty 1.2, temperature 0.8` as parameters. */
const decodingOf = (name: string): Decoding => {
  const values: Partial<Record<Knob, number>> = {};
  for (const part of name.split(', ')) {
    const [key = '', value = ''] = part.split(' ');
    const field = fields[key];
    assert.ok(field, `unknown warper ${key}`);
    values[field] = Number(value);
  }
  return { ...greedy(1), temperature: 1, ...values };
};

const path = 'goldens/generation/warpers.json';

test('warped logits equal those of transformers', { skip: skipUnlessShared(path) }, () => {
  const golden = readSharedJson<Golden>(path);
  const names = Object.keys(golden.after);
  assert.ok(names.length > 10);
  for (const name of names) {
    const decoding = decodingOf(name);
    golden.logits.forEach((row, index) => {
      const ids = Int32Array.from(golden.ids_so_far[index] ?? []);
      const logits = Float32Array.from(row);
      process(logits, { ids, length: ids.length }, 0, decoding);
      warp(logits, decoding, new Float64Array(logits.length));
      const expected = golden.after[name]?.logits[index] ?? [];
      expected.forEach((value, token) => {
        const got = logits[token] ?? NaN;
        if (value === null) assert.equal(got, -Infinity, `${name}: token ${String(token)}`);
        else assert.ok(Math.abs(got - value) <= 1e-5 * Math.max(1, Math.abs(value)), name);
      });
    });
  }
});

const logitsOf = fc
  .array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 60 })
  .map((values) => Float32Array.from(values, (value) => value / 4));

test('top-p removes the least likely tokens up to 1 - p, never the best', () => {
  fc.assert(
    fc.property(logitsOf, fc.double({ min: 0.01, max: 0.999, noNaN: true }), (logits, p) => {
      const best = Math.max(...logits);
      const weights = Array.from(logits, (value) => Math.exp(value - best));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const order = Array.from(logits.keys()).sort(
        (a, b) => (logits[a] ?? 0) - (logits[b] ?? 0) || a - b,
      );
      const removed = new Set<number>();
      let sum = 0;
      for (const token of order.slice(0, -1)) {
        sum += weights[token] ?? 0;
        // A tie of the sum with the bound can fall either way in floating point: not tried.
        fc.pre(Math.abs(sum - (1 - p) * total) > 1e-9 * total);
        if (sum > (1 - p) * total) break;
        removed.add(token);
      }
      const kept = logits.slice();
      keepTopP(kept, p, new Float64Array(kept.length));
      kept.forEach((value, token) => {
        assert.equal(value === -Infinity, removed.has(token), `token ${String(token)}`);
      });
    }),
  );
});

test('top-k keeps the k highest and what equals the k-th', () => {
  fc.assert(
    fc.property(logitsOf, fc.integer({ min: 1, max: 70 }), (logits, k) => {
      const bar = Array.from(logits).sort((a, b) => b - a)[Math.min(k, logits.length) - 1] ?? 0;
      const kept = logits.slice();
      keepTopK(kept, k);
      kept.forEach((value, token) => {
        assert.equal(value === -Infinity, (logits[token] ?? 0) < bar);
      });
    }),
  );
});

test('draws follow the probabilities, and a row has its own numbers', () => {
  const decoding = { ...greedy(1), temperature: 1 };
  const probabilities = [0.5, 0.25, 0.125, 0.125];
  const choose = sampler(decoding, 4);
  const history = { ids: new Int32Array(0), length: 0 };
  const counts = [0, 0, 0, 0];
  const random = rowStream(7, 'row', 0);
  const n = 8000;
  for (let made = 0; made < n; made += 1) {
    const token = choose.next(Float32Array.from(probabilities, Math.log), history, made, random);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  counts.forEach((count, token) => {
    const p = probabilities[token] ?? 0;
    assert.ok(Math.abs(count / n - p) < 4 * Math.sqrt((p * (1 - p)) / n));
  });
  const first = (seed: number, id: string, sequence: number): number =>
    rowStream(seed, id, sequence).uniform();
  assert.equal(first(7, 'row', 0), first(7, 'row', 0));
  assert.equal(
    new Set([first(7, 'row', 0), first(8, 'row', 0), first(7, 'row', 1), first(7, 'wor', 0)]).size,
    4,
  );
});

test('greedy takes the first of equals', () => {
  assert.equal(argmax(Float32Array.of(1, 3, 3, 2)), 1);
});
