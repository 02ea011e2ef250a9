// Products with plain and packed weights, rotation, attention.

import type { LinearAttributes } from '../../../tensor/ops/linear.ts';
import {
  count,
  f32,
  made,
  rows,
  softmaxRow,
  sum,
  typed,
  type Given,
  type Numbers,
  type OpCase,
} from './case.ts';

/** [m, k] @ [k, n] */
const product = (a: Numbers, b: Numbers, m: number, k: number, n: number): number[] =>
  count(m * n).map((at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return sum(count(k).map((x) => a[i * k + x]! * b[x * n + j]!));
  });

/** [m, n] transposed */
const flip = (a: Numbers, m: number, n: number): number[] =>
  count(m * n).map((at) => a[(at % m) * n + Math.floor(at / m)]!);

/** Rotation of each half pair of a head [T, 4] by positions. */
const angle = (position: number, pair: number): number => position * 0.5 ** pair;

const rotate = (data: Numbers, positions: Numbers): number[] =>
  rows(data, 4).flatMap((row, t) => {
    const turn = (pair: number): [number, number] => {
      const [c, s] = [Math.cos(angle(positions[t]!, pair)), Math.sin(angle(positions[t]!, pair))];
      return [row[pair]! * c - row[pair + 2]! * s, row[pair + 2]! * c + row[pair]! * s];
    };
    const [[a, c], [b, d]] = [turn(0), turn(1)];
    return [a, b, c, d];
  });

const tables = (of: (angle: number) => number): Given =>
  f32(
    [6, 2],
    count(12).map((i) => of(angle(i >> 1, i & 1))),
  );

/** Two query heads sharing one key head of 8, causal, 2 past keys and 1 new position. */
const query = made([1, 1, 16], 6);

const [key, value] = [made([1, 1, 8], 7), made([1, 1, 8], 8)];

const [pastKey, pastValue] = [made([1, 1, 2, 8], 9), made([1, 1, 2, 8], 10)];

const attended = rows(query.data, 8).flatMap((q) => {
  const keys = rows([...pastKey.data, ...key.data], 8);
  const values = rows([...pastValue.data, ...value.data], 8);
  const weights = softmaxRow(keys.map((k) => sum(k.map((v, i) => v * q[i]!)) / Math.sqrt(8)));
  return count(8).map((i) => sum(weights.map((w, t) => w * values[t]![i]!)));
});

const bytes = (n: number): number[] => count(n).map((i) => (i * 67 + 29) % 256);

const nibbles = (data: Numbers): number[] => data.flatMap((byte) => [byte & 15, byte >> 4]);

const weightBytes = bytes(3 * 16);

const blockScales = count(6).map((i) => 0.01 * (i + 1));

const weights = nibbles(weightBytes).map((code, i) => (code - 8) * blockScales[i >> 4]!);

const activations = made([2, 32], 11);

const absmax = count(6).map((i) => 0.3 + i * 0.1);

/** Codes of NF4 (QLoRA paper, appendix E). */
const nf4 = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
  -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
  0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
  0.7229568362236023, 1,
];

const bnb = weightBytes
  .flatMap((byte) => [byte >> 4, byte & 15])
  .map((code, i) => nf4[code]! * absmax[i >> 4]!);

export const linearCases: Record<keyof LinearAttributes, readonly OpCase[]> = {
  matmul: [
    {
      given: [made([2, 3], 20), made([3, 4], 21)],
      build: (b, [x, y]) => [b.matmul(x!, y!)],
      expected: [product(made([2, 3], 20).data, made([3, 4], 21).data, 2, 3, 4)],
    },
  ],
  fusedMatMul: [
    {
      name: 'weight as it lies',
      given: [made([2, 3], 20), made([4, 3], 22)],
      build: (b, [x, y]) => [b.fusedMatMul(x!, y!, { transB: true, alpha: 0.5 })],
      expected: [
        product(made([2, 3], 20).data, flip(made([4, 3], 22).data, 4, 3), 2, 3, 4).map(
          (v) => v / 2,
        ),
      ],
    },
  ],
  gemm: [
    {
      given: [made([2, 3], 20), made([4, 3], 22), made([2, 4], 23)],
      build: (b, [x, y, z]) => [b.gemm(x!, y!, z!)],
      expected: [
        product(made([2, 3], 20).data, flip(made([4, 3], 22).data, 4, 3), 2, 3, 4).map(
          (v, at) => v + made([2, 4], 23).data[at]!,
        ),
      ],
    },
  ],
  rotaryEmbedding: [
    {
      given: [
        made([1, 3, 4], 23),
        typed('int64', [1, 3], [0, 2, 5]),
        tables(Math.cos),
        tables(Math.sin),
      ],
      build: (b, [x, positions, cos, sin]) => [
        b.rotaryEmbedding(x!, { positions: positions!, cos: cos!, sin: sin! }, { numHeads: 1 }),
      ],
      expected: [rotate(made([1, 3, 4], 23).data, [0, 2, 5])],
    },
  ],
  attention: [
    {
      given: [query, key, value, pastKey, pastValue],
      build: (b, [q, k, v, past, pastValues]) => [
        b.attention(
          {
            q: q!,
            k: k!,
            v: v!,
            mask: b.constant([0, 0, 0], 'float32', [1, 1, 1, 3]),
            pastKey: past!,
            pastValue: pastValues!,
          },
          { heads: 2, kvHeads: 1, scale: 1 / Math.sqrt(8) },
        ),
      ],
      expected: [attended],
    },
  ],
  matMulNBits: [
    {
      given: [activations],
      build: (b, [x]) => [
        b.matMulNBits(
          x!,
          {
            data: b.constant(weightBytes, 'uint8', [3, 2, 8]),
            scales: b.constant(blockScales, 'float32', [3, 2]),
          },
          { n: 3, k: 32, bits: 4, blockSize: 16, accuracy: 1 },
        ),
      ],
      expected: [
        count(6).map((at) =>
          sum(
            count(32).map(
              (k) => activations.data[(at < 3 ? 0 : 32) + k]! * weights[(at % 3) * 32 + k]!,
            ),
          ),
        ),
      ],
    },
  ],
  matMulBnb4: [
    {
      given: [activations],
      build: (b, [x]) => [
        b.matMulBnb4(
          x!,
          {
            codes: b.constant(weightBytes, 'uint8', [48]),
            absmax: b.constant(absmax, 'float32', [6]),
          },
          { n: 3, k: 32, blockSize: 16, type: 'nf4' },
        ),
      ],
      expected: [
        count(6).map((at) =>
          sum(
            count(32).map(
              (k) => activations.data[(at < 3 ? 0 : 32) + k]! * bnb[(at % 3) * 32 + k]!,
            ),
          ),
        ),
      ],
    },
  ],
  qGemm: [
    {
      given: [
        typed('uint8', [2, 2], [130, 120, 128, 129]),
        typed('int8', [3, 2], [1, 3, -2, 4, 5, -6]),
        f32([3], [0.5, 2, 1]),
      ],
      build: (b, [x, y, scales]) => [
        b.qGemm(
          { data: x!, scale: b.constant(1), zero: b.constant(128, 'uint8') },
          { data: y!, scales: scales! },
        ),
      ],
      expected: [[(2 - 24) * 0.5, (-4 - 32) * 2, 10 + 48, 3 * 0.5, 4 * 2, -6]],
    },
  ],
  quantizeLinear: [
    {
      given: [f32([2, 2], [0.5, -1, 10, 0.24])],
      build: (b, [x]) => [
        b.quantizeLinear(x!, b.constant([0.5, 0.1], 'float32'), {
          to: 'uint8',
          zero: b.constant([128, 128], 'uint8'),
          axis: 0,
        }),
      ],
      expected: [[129, 126, 228, 130]],
      tolerance: 0,
    },
  ],
  dequantizeLinear: [
    {
      name: '4 bits by blocks',
      given: [f32([], [0])],
      build: (b, [x]) => [
        b.add(
          b.dequantizeLinear(
            b.constant(
              count(32).map((i) => i % 16),
              'uint4',
              [1, 32],
            ),
            b.constant([0.5, 2], 'float32', [1, 2]),
            { axis: 1, blockSize: 16 },
          ),
          x!,
        ),
      ],
      expected: [count(32).map((i) => (i % 16) * (i < 16 ? 0.5 : 2))],
    },
    {
      name: 'int8 rows',
      given: [typed('int8', [2, 2], [1, -2, 127, -128])],
      build: (b, [x]) => [b.dequantizeLinear(x!, b.constant([0.5, 2], 'float32'), { axis: 0 })],
      expected: [[0.5, -1, 254, -256]],
    },
  ],
  gatherBlockQuantized: [
    {
      given: [typed('int64', [2], [2, 0])],
      build: (b, [i]) => [
        b.gatherBlockQuantized(
          {
            data: b.constant(weightBytes, 'uint8', [3, 16]),
            scales: b.constant(blockScales, 'float32', [3, 2]),
          },
          i!,
          { blockSize: 16, bits: 4 },
        ),
      ],
      expected: [[...weights.slice(64), ...weights.slice(0, 32)]],
    },
  ],
};
