// A row's bits are its own on a real model, whose products are large enough to be cut up among threads.

import { skipUnlessShared } from '../shared.ts';
import { rowsAreTheirOwn } from '../models/decode/row-invariance.ts';
import { openTiny } from '../models/decode/tiny-models.ts';

const path = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';

for (const [mode, activations] of [
  ['float32', 'float'],
  ['packed', 'float'],
  ['packed', 'int8'],
] as const) {
  rowsAreTheirOwn({
    name: `SmolLM2-135M, ${mode}, ${activations} activations`,
    skip: skipUnlessShared(path),
    open: () => openTiny(path, mode),
    activations,
    lengths: [1, 2, 31, 64, 130, 270, 300, 560, 900],
    runs: 2,
  });
}
