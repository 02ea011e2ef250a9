// torch's CPU generator as far as data orders are made with it: `torch.randperm` of a generator with a manual seed,
// which is also the order of each epoch in HF's Trainer (epoch e: a fresh generator seeded with seed + e).

import { mt19937 } from './mt19937.ts';

export interface TorchGenerator {
  randperm(n: number): number[];
  /** float32 in [0, 1), 24 bits. */
  rand(): number;
  randint(low: number, high: number): number;
}

/** `torch.Generator().manual_seed(seed)`: only the seed's low 32 bits count. */
export const torchGenerator = (seed: number | bigint): TorchGenerator => {
  const words = mt19937(Number(BigInt.asUintN(32, BigInt(seed))));
  return {
    randperm: (n) => {
      const order = Array.from({ length: n }, (_, index) => index);
      // The remainder is slightly biased; so is torch's.
      for (let index = 0; index < n - 1; index += 1) {
        const other = index + (words.next() % (n - index));
        const held = order[index] as number;
        order[index] = order[other] as number;
        order[other] = held;
      }
      return order;
    },
    rand: () => (words.next() & 0xffffff) / 2 ** 24,
    randint: (low, high) => low + (words.next() % (high - low)),
  };
};
