// A real model from its GGUF file, its 4-bit blocks packed: a few rows of each kind against the reference.

import { smollm2Parity } from './smollm2-parity.ts';

smollm2Parity({
  dtype: 'auto',
  answers: 2,
  passages: 2,
  continuations: 7,
  tasks: { medmcqa: 8, pubmedqa: 2 },
});
