import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  distinct,
  exactMatch,
  jaccard,
  partialMatch,
  quasiExactMatch,
  tokenF1,
} from '../../metrics/overlap.ts';
import { rougeL, rougeLsum, rougeN } from '../../metrics/rouge.ts';
import { normalizeSquad } from '../../metrics/text.ts';
import { readSharedJson, skipUnlessShared } from '../shared.ts';

interface Case {
  readonly reference: string;
  readonly prediction: string;
  readonly squad: {
    readonly normal: readonly string[];
    readonly exact_match: number;
    readonly f1_v2: number;
  };
  readonly rouge: Readonly<Record<string, readonly [number, number, number]>>;
  readonly jaccard: number;
  readonly distinct: readonly [number, number];
}

const golden = 'goldens/metrics/overlap.json';
const close = (actual: number, expected: number, what: string): void => {
  assert.ok(
    Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
    `${what}: ${actual}, expected ${expected}`,
  );
};

test(
  'text overlap equals the reference implementations on every pair',
  { skip: skipUnlessShared(golden) },
  () => {
    const { cases } = readSharedJson<{ cases: readonly Case[] }>(golden);
    assert.ok(cases.length >= 40);
    for (const { reference, prediction, squad, rouge, ...rest } of cases) {
      const label = JSON.stringify([prediction, reference]);
      const normal = [normalizeSquad(reference), normalizeSquad(prediction)];
      assert.deepEqual([...normal].sort(), [...squad.normal].sort(), label);
      close(quasiExactMatch(prediction, reference), squad.exact_match, `EM ${label}`);
      close(tokenF1(prediction, reference), squad.f1_v2, `F1 ${label}`);
      close(rougeN(prediction, reference, 1), rouge['rouge1']?.[2] ?? NaN, `rouge1 ${label}`);
      close(rougeN(prediction, reference, 2), rouge['rouge2']?.[2] ?? NaN, `rouge2 ${label}`);
      close(rougeL(prediction, reference), rouge['rougeL']?.[2] ?? NaN, `rougeL ${label}`);
      close(rougeLsum(prediction, reference), rouge['rougeLsum']?.[2] ?? NaN, `rougeLsum ${label}`);
      close(jaccard(prediction, reference), rest.jaccard, `jaccard ${label}`);
      close(distinct(prediction, 1), rest.distinct[0], `distinct-1 ${label}`);
      close(distinct(prediction, 2), rest.distinct[1], `distinct-2 ${label}`);
    }
  },
);

test('exact match forgives only the whitespace around a text', () => {
  assert.equal(exactMatch(' Atenolol\n', 'Atenolol'), 1);
  assert.equal(exactMatch('atenolol', 'Atenolol'), 0);
  assert.equal(quasiExactMatch('the atenolol.', 'Atenolol'), 1);
});

test('a partial match needs a Jaccard similarity of 0.7', () => {
  assert.equal(partialMatch('a b c d e f g', 'a b c d e f g h i j'), 1);
  assert.equal(partialMatch('a b c d e f', 'a b c d e f g h i j'), 0);
});
