// How many threads train, and how many tokens a micro-batch is padded to, so that gradients have the same bits with any
// number of threads (tensor/steady.ts). Products of weights or of adapters' factors with few tokens are what is divided
// by columns; padding up to as many tokens as columns is cheap where they are few, and idle threads are where not.
// (That 4-bit kernels leave a single row to a thread at times does no harm: it is the last token, which predicts none.)

import type { Graph } from '../../tensor/graph.ts';
import { sameDim } from '../../tensor/shape.ts';
import { dividedProducts, type DividedProduct } from '../../tensor/steady.ts';

/** Columns up to which there is padding. */
const PADDED = 256;

export interface Steadiness {
  readonly threads: number;
  /** How many slots of `length` to run for `count` of them: empty ones are added. */
  readonly slotsFor: (count: number, length: number) => number;
}

/** `prepack` as the session will have it. */
export const steadiness = (graph: Graph, prepack: boolean, threads: number): Steadiness => {
  const products = dividedProducts(graph, prepack);
  const isPadded = ({ rows, columns }: DividedProduct): boolean =>
    sameDim(rows, 'S*L') && typeof columns === 'number' && columns <= PADDED;
  const most = products
    .filter((product) => !isPadded(product))
    .reduce((least, product) => Math.min(least, product.threads), threads);
  const tokens = products
    .filter((product) => isPadded(product) && product.threads < most)
    .reduce((largest, { columns }) => Math.max(largest, Number(columns)), 0);
  return {
    threads: most,
    slotsFor: (count, length) => Math.max(count, Math.ceil(tokens / length)),
  };
};
