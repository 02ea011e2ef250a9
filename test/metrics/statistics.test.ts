import assert from 'node:assert/strict';
import { test } from 'node:test';
import { centredP, resample } from '../../metrics/bootstrap.ts';
import { adjust } from '../../metrics/correction.ts';
import {
  clusteredStandardError,
  mean,
  percentile,
  standardError,
  wilson,
} from '../../metrics/interval.ts';
import { mcnemarExact } from '../../metrics/mcnemar.ts';
import { normalCdf, normalQuantile } from '../../metrics/normal.ts';
import { detectableMean, detectableProportion } from '../../metrics/power.ts';
import { readSharedJson, skipUnlessShared } from '../shared.ts';

const close = (actual: number, expected: number, what: string, tolerance = 1e-9): void => {
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1e-3, Math.abs(expected)),
    `${what}: ${actual}, expected ${expected}`,
  );
};
const closePair = (
  actual: readonly [number, number],
  expected: readonly [number, number],
  what: string,
): void => {
  close(actual[0], expected[0], `${what}, low`);
  close(actual[1], expected[1], `${what}, high`);
};
const folder = 'goldens/statistics';
const skip = skipUnlessShared(folder);

test('Wilson intervals', { skip }, () => {
  const { proportions } = readSharedJson<{
    proportions: readonly {
      successes: number;
      n: number;
      alpha: number;
      wilson: [number, number];
    }[];
  }>(`${folder}/intervals.json`);
  for (const { successes, n, alpha, wilson: expected } of proportions) {
    closePair(wilson(successes, n, 1 - alpha), expected, `${successes}/${n} at ${alpha}`);
  }
});

test('exact McNemar', { skip }, () => {
  const { cases } = readSharedJson<{ cases: readonly { b: number; c: number; exact_p: number }[] }>(
    `${folder}/mcnemar.json`,
  );
  for (const { b, c, exact_p: p } of cases) close(mcnemarExact(b, c), p, `${b} against ${c}`);
});

test('the bootstrap with given resamples', { skip }, () => {
  const { cases } = readSharedJson<{
    cases: readonly {
      name: string;
      a: number[];
      b: number[];
      indices: number[][] | string;
      observed: number;
      p_two_sided_centred: number;
      distribution_first_10: number[];
      'percentile_0.95': [number, number];
    }[];
  }>(`${folder}/bootstrap.json`);
  for (const golden of cases) {
    // One case names NumPy's generator instead of listing its draws.
    if (typeof golden.indices === 'string') continue;
    const draws = golden.indices.flat();
    let next = 0;
    const n = golden.a.length;
    const [distribution = new Float64Array()] = resample(
      [
        {
          columns: [Float64Array.from(golden.a), Float64Array.from(golden.b)],
          of: (sums) => (sums[0]! - sums[1]!) / n,
        },
      ],
      n,
      golden.indices.length,
      () => draws[next++] ?? 0,
    );
    golden.distribution_first_10.forEach((expected, index) =>
      close(distribution[index]!, expected, `${golden.name}, resample ${index}`),
    );
    const sorted = distribution.slice().sort();
    closePair(
      [percentile(sorted, 0.025), percentile(sorted, 0.975)],
      golden['percentile_0.95'],
      golden.name,
    );
    close(centredP(distribution, golden.observed), golden.p_two_sided_centred, `${golden.name}, p`);
  }
});

test('Holm and Benjamini-Hochberg', { skip }, () => {
  const { cases } = readSharedJson<{
    cases: readonly {
      p: number[];
      holm: { adjusted: number[] };
      benjamini_hochberg: { adjusted: number[] };
    }[];
  }>(`${folder}/corrections.json`);
  for (const { p, holm, benjamini_hochberg: bh } of cases) {
    adjust(p, 'holm').forEach((value, index) =>
      close(value, holm.adjusted[index]!, `holm ${p.join()}`),
    );
    adjust(p, 'bh').forEach((value, index) => close(value, bh.adjusted[index]!, `bh ${p.join()}`));
    assert.deepEqual(adjust(p, 'none'), p);
  }
});

test('standard errors, also of clustered rows', { skip }, () => {
  const { cases } = readSharedJson<{
    cases: readonly {
      clusters: number[];
      scores: number[];
      scores_error: { mean: number; clt: number; clustered: number };
    }[];
  }>(`${folder}/errors.json`);
  for (const { clusters, scores, scores_error: expected } of cases) {
    close(mean(scores), expected.mean, 'mean');
    close(standardError(scores) ?? NaN, expected.clt, 'standard error');
    close(
      clusteredStandardError(scores, clusters.map(String)) ?? NaN,
      expected.clustered,
      'clustered',
    );
  }
});

test('smallest detectable differences', { skip }, () => {
  const { minimum_detectable: cases } = readSharedJson<{
    minimum_detectable: readonly {
      n: number;
      discordance: number;
      alpha: number;
      power: number;
      mde_connor: number | null;
      mde_simple: number;
    }[];
  }>(`${folder}/power.json`);
  for (const { n, discordance, alpha, power, ...expected } of cases) {
    const connor = detectableProportion(n, discordance, alpha, power);
    if (expected.mde_connor === null) assert.equal(connor, null);
    else close(connor ?? NaN, expected.mde_connor, `n ${n}, discordance ${discordance}`, 1e-6);
    close(detectableMean(Math.sqrt(discordance / n), alpha, power), expected.mde_simple, 'simple');
  }
});

test('the normal distribution and its quantiles', () => {
  close(normalQuantile(0.975), 1.959963984540054, 'z of 0.975', 1e-12);
  close(normalCdf(-4.5), 3.3976731247300535e-6, 'far tail', 1e-7);
  for (const p of [1e-6, 0.01, 0.2, 0.5, 0.77, 0.999]) {
    close(normalCdf(normalQuantile(p)), p, `quantile of ${p}`, 1e-9);
  }
});
