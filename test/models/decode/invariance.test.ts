// A row's bits are its own, for tiny models of every way of storing weights.

import { skipUnlessShared } from '../../shared.ts';
import { manyRowsAreTheirOwn, rowsAreTheirOwn } from './row-invariance.ts';
import { openTiny } from './tiny-models.ts';

/** Lengths on both sides of the borders of cache buckets (64), tiles (128) and chunks (256), and a prompt of one token. */
const lengths = [1, 2, 3, 17, 55, 63, 64, 65, 120, 129, 130, 255, 256, 257, 300, 520, 700];

const models = [
  { name: 'fp32', path: 'goldens/generation/models/llama', activations: 'float' },
  { name: 'fp32, sliding window', path: 'goldens/generation/models/mistral', activations: 'float' },
  { name: 'q4_0, exact', path: 'goldens/quantization/gguf/llama-q4_0.gguf', activations: 'float' },
  { name: 'q8_0, exact', path: 'goldens/quantization/gguf/llama-q8_0.gguf', activations: 'float' },
  { name: 'q4_0, int8', path: 'goldens/quantization/gguf/llama-q4_0.gguf', activations: 'int8' },
  { name: 'nf4', path: 'goldens/quantization/llama-nf4', activations: 'float' },
  { name: 'int8 rows', path: 'goldens/quantization/llama-int8', activations: 'float' },
  { name: 'q8_0, int16', path: 'goldens/quantization/gguf/llama-q8_0.gguf', activations: 'int16' },
  { name: 'int8 rows, int16', path: 'goldens/quantization/llama-int8', activations: 'int16' },
  { name: 'int8 rows, int8', path: 'goldens/quantization/llama-int8', activations: 'int8' },
] as const;

for (const { name, path, activations } of models) {
  const model = { name, skip: skipUnlessShared(path), open: () => openTiny(path), activations };
  rowsAreTheirOwn({ ...model, lengths, runs: 10 });
  if (name.startsWith('q4_0')) manyRowsAreTheirOwn(model);
}
