// A graph like a model's: layers over a residual stream, something all layers read, something each leaves for the end.

import { writeFileSync } from 'node:fs';
import { GraphBuilder } from '../../tensor/builder.ts';
import type { Feeds } from '../../tensor/feeds.ts';
import type { Graph, Value } from '../../tensor/graph.ts';
import { normalish } from './numbers.ts';

export const WIDTH = 8;

export interface LayeredGraph {
  readonly graph: Graph;
  readonly feeds: Feeds;
}

/** `paths`: the file of each layer's weight [WIDTH, WIDTH], which is written. */
export const layeredGraph = (paths: readonly string[]): LayeredGraph => {
  const g = new GraphBuilder();
  const rows = g.input('x', 'float32', ['N', WIDTH]);
  const scale = g.exp(g.input('scale', 'float32', [1]));
  const kept: Value[] = [];
  let x: Value = rows;
  for (const [layer, path] of paths.entries()) {
    writeFileSync(path, normalish(WIDTH * WIDTH, layer + 1));
    const range = { path, offset: 0, bytes: 4 * WIDTH * WIDTH };
    const weight = g.external(`w${layer}`, 'float32', [WIDTH, WIDTH], range);
    const product = g.fusedMatMul(x, weight, { transB: true });
    kept.push(product);
    x = g.add(x, g.tanh(g.mul(product, scale)));
  }
  g.output('y', x);
  g.output('kept', g.concat(kept, 1));
  const feeds = {
    x: { data: normalish(3 * WIDTH, 99), shape: [3, WIDTH] },
    scale: { data: Float32Array.of(-0.5), shape: [1] },
  };
  return { graph: g.build(), feeds };
};
