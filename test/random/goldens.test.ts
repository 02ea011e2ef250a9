// Python's, numpy's, torch's and HF datasets' orders and subsets, equal to what those packages gave.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { defaultRng, randomState } from '../../random/numpy.ts';
import { pcg64 } from '../../random/pcg64.ts';
import { pythonRandom } from '../../random/python.ts';
import { torchGenerator } from '../../random/torch.ts';
import { readSharedJson, skipUnlessShared } from '../shared.ts';

interface Order {
  readonly result?: unknown;
  readonly first?: readonly number[];
  readonly last?: readonly number[];
  readonly sha256_of_json?: string;
}
interface Case extends Order {
  readonly call: string;
  readonly seed: number | string;
  readonly generator?: string;
  readonly n: number;
  readonly k: number;
  readonly a: number;
  readonly b: number;
  readonly weights: readonly number[];
  readonly test_size: number;
  readonly train: Order;
  readonly test: Order;
}
interface TrainerCase {
  readonly n: number;
  readonly seed: number;
  readonly data_seed: number | null;
  readonly epochs: readonly Order[];
}

const skip = skipUnlessShared('goldens/sampling');
const read = <T>(name: string): readonly T[] =>
  readSharedJson<{ cases: readonly T[] }>(`goldens/sampling/${name}.json`).cases;

const range = (n: number): number[] => Array.from({ length: n }, (_, index) => index);
const times = <T>(count: number, make: () => T): T[] => range(count).map(make);

/** Long orders are given by their ends and the digest of their JSON. */
const assertOrder = (actual: unknown, expected: Order, what: string): void => {
  if (expected.result !== undefined) {
    assert.deepEqual(actual, expected.result, what);
    return;
  }
  assert.ok(Array.isArray(actual));
  const values = actual as number[];
  assert.deepEqual(values.slice(0, 24), expected.first, what);
  assert.deepEqual(values.slice(-8), expected.last, what);
  const digest = createHash('sha256').update(JSON.stringify(values)).digest('hex');
  assert.equal(digest, expected.sha256_of_json, what);
};

/** Runs every case of a file by its `call`; a call that is neither implemented nor excused fails. */
const runAll = (
  name: string,
  calls: Readonly<Record<string, (given: Case) => unknown>>,
  excused: readonly string[] = [],
): void => {
  const counts = new Map<string, number>();
  for (const given of read<Case>(name)) {
    const call = given.generator === undefined ? given.call : `${given.generator}: ${given.call}`;
    if (excused.includes(call)) continue;
    const run = calls[call];
    assert.ok(run, `${name}.json has a call without a counterpart here: ${call}`);
    assertOrder(run(given), given, `${call} of ${JSON.stringify(given).slice(0, 80)}`);
    counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].toSorted(), Object.keys(calls).toSorted());
};

test('Python random', { skip }, () => {
  const close = (given: Case, actual: readonly number[]): unknown => {
    const expected = given.result as readonly number[];
    // log and cos may differ from libm's in the last bit.
    const same = actual.every((value, index) => Math.abs(value - (expected[index] ?? NaN)) < 1e-14);
    return same ? expected : actual;
  };
  runAll('python', {
    'sample(range(n), k)': ({ seed, n, k }) => pythonRandom(seed).sample(range(n), k),
    'shuffle(list(range(n)))': ({ seed, n }) => pythonRandom(seed).shuffle(range(n)),
    'choices(range(n), k=k)': ({ seed, n, k }) => pythonRandom(seed).choices(range(n), k),
    'choices(range(n), weights=weights, k=k)': ({ seed, n, k, weights }) =>
      pythonRandom(seed).choices(range(n), k, weights),
    'randint(a, b) repeated': ({ seed, a, b }) => {
      const random = pythonRandom(seed);
      return times(20, () => random.randint(a, b));
    },
    'random() repeated': ({ seed }) => {
      const random = pythonRandom(seed);
      return times(10, () => random.random());
    },
    'getrandbits(32) repeated': ({ seed }) => {
      const random = pythonRandom(seed);
      return times(10, () => random.getrandbits(32));
    },
    'choice(range(n)) repeated': ({ seed, n }) => {
      const random = pythonRandom(seed);
      return times(20, () => random.choice(range(n)));
    },
    'gauss(0, 1) repeated': (given) => {
      const random = pythonRandom(given.seed);
      return close(
        given,
        times(6, () => random.gauss(0, 1)),
      );
    },
    'one generator: sample(range(100), 5); shuffle(list(range(6))); random()': ({ seed }) => {
      const random = pythonRandom(seed);
      return [random.sample(range(100), 5), random.shuffle(range(6)), random.random()];
    },
  });
});

test('Python getrandbits beyond 32 bits', () => {
  // CPython 3.11: r = random.Random(42); [r.getrandbits(k) for k in (40, 53, 33, 1)]
  const random = pythonRandom(42);
  assert.deepEqual(
    [40, 53, 33, 1].map((bits) => random.getrandbits(bits)),
    [123005401501, 6679292727990993, 1181241943, 0],
  );
});

test('numpy', { skip }, () => {
  const number = (seed: number | string): number => Number(seed);
  const normals = (given: Case): unknown => {
    const random = randomState(number(given.seed));
    const expected = given.result as readonly number[];
    const actual = times(6, () => random.standardNormal());
    return actual.every((value, index) => Math.abs(value - (expected[index] ?? NaN)) < 1e-14)
      ? expected
      : actual;
  };
  const both = (name: string, make: (seed: number) => ReturnType<typeof defaultRng>) => ({
    [`${name}: permutation(n)`]: ({ seed, n }: Case) => make(number(seed)).permutation(n),
    [`${name}: shuffle(arange(n))`]: ({ seed, n }: Case) => make(number(seed)).shuffle(range(n)),
    [`${name}: choice(n, k, replace=False)`]: ({ seed, n, k }: Case) =>
      make(number(seed)).choice(n, k, false),
    [`${name}: choice(n, k, replace=True)`]: ({ seed, n, k }: Case) =>
      make(number(seed)).choice(n, k, true),
    [`${name}: random(8)`]: ({ seed }: Case) => {
      const random = make(number(seed));
      return times(8, () => random.random());
    },
  });
  runAll(
    'numpy',
    {
      ...both('default_rng', defaultRng),
      ...both('RandomState', randomState),
      'default_rng: integers(0, 1000, 12)': ({ seed }) =>
        defaultRng(number(seed)).integers(0, 1000, 12),
      'RandomState: randint(0, 1000, 12)': ({ seed }) =>
        randomState(number(seed)).integers(0, 1000, 12),
      'RandomState: standard_normal(6)': normals,
      'default_rng: bit_generator.random_raw(4), decimal strings': ({ seed }) => {
        const bits = pcg64(BigInt(seed));
        return times(4, () => String(bits.next64()));
      },
    },
    // The ziggurat: no subset or order is made with it.
    ['default_rng: standard_normal(6)'],
  );
});

test('HF datasets', { skip }, () => {
  const permutation = ({ seed, n }: Case): number[] => defaultRng(Number(seed)).permutation(n);
  for (const given of read<Case>('datasets')) {
    const what = JSON.stringify(given).slice(0, 100);
    if (given.call === 'shuffle(seed)') assertOrder(permutation(given), given, what);
    if (given.call === 'shuffle(seed).select(range(k))') {
      assertOrder(permutation(given).slice(0, given.k), given, what);
    }
    if (given.call === 'train_test_split(test_size, seed)') {
      const order = permutation(given);
      const size = given.test_size < 1 ? Math.ceil(given.test_size * given.n) : given.test_size;
      assertOrder(order.slice(0, size), given.test, what);
      assertOrder(order.slice(size), given.train, what);
    }
  }
});

test('torch', { skip }, () => {
  runAll('torch', {
    'manual_seed(seed); randperm(n)': ({ seed, n }) => torchGenerator(Number(seed)).randperm(n),
    'manual_seed(seed); randperm(n) twice': ({ seed, n }) => {
      const random = torchGenerator(Number(seed));
      return [random.randperm(n), random.randperm(n)];
    },
    'Generator: rand(6) as float32': ({ seed }) => {
      const random = torchGenerator(Number(seed));
      return times(6, () => random.rand());
    },
    'Generator: randint(0, 100, (10,))': ({ seed }) => {
      const random = torchGenerator(Number(seed));
      return times(10, () => random.randint(0, 100));
    },
  });
});

test("HF Trainer's order of rows", { skip }, () => {
  for (const { n, seed, data_seed: dataSeed, epochs } of read<TrainerCase>('trainer')) {
    for (const [epoch, expected] of epochs.entries()) {
      assertOrder(torchGenerator((dataSeed ?? seed) + epoch).randperm(n), expected, 'epoch');
    }
  }
});
