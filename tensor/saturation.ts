// uint8 times int8 with instructions that add two products in 16 bits (AVX2, the first AVX-512) is wrong for large
// numbers: 255 * 127 + 255 * 127 stays at 32,767. Where that is so the runtime can be asked for slower products of
// uint8 with uint8. Which processor it is on it judges too carefully: asked on one with VNNI, whose products are exact,
// it makes them slower there, too (by half, on Emerald Rapids). So one product of the largest numbers says it.
import { GraphBuilder } from './builder.ts';
import type { TensorData } from './dtype.ts';
import type { Feeds } from './feeds.ts';
import type { Graph } from './graph.ts';

const M = 8;
const K = 64;
const N = 64;

export interface SaturationProbe {
  /** One output, `sums` [M, N]. */
  readonly graph: Graph;
  readonly feeds: Feeds;
  readonly initializers: Readonly<Record<string, TensorData>>;
  /** What every sum is where products are exact. */
  readonly exact: number;
}

export const saturationProbe = (): SaturationProbe => {
  const g = new GraphBuilder();
  const sums = g.qGemm(
    {
      data: g.input('x', 'uint8', ['M', K]),
      scale: g.constant(1),
      zero: g.constant(0, 'uint8'),
    },
    { data: g.initializer('w', 'int8', [N, K]), scales: g.initializer('s', 'float32', [N]) },
  );
  g.output('sums', sums);
  return {
    graph: g.build(),
    feeds: { x: { data: new Uint8Array(M * K).fill(255), shape: [M, K] } },
    initializers: { w: new Int8Array(N * K).fill(127), s: new Float32Array(N).fill(1) },
    exact: 255 * 127 * K,
  };
};
