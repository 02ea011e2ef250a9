// The logits of a sequence, read in one run and then token by token over the cache: both ways through a decode graph.

import { KeyValueCache } from '../../../models/decode/cache.ts';
import { ChunkedCache } from '../../../models/decode/prefill.ts';
import { cacheFeeds, int32, int64, type Runner } from '../../../models/decode/runner.ts';

/** Logits [length, vocabSize]: the first `prompt` tokens in one run, the others one by one. */
export const cachedLogits = async (
  runner: Runner,
  sequence: readonly number[],
  prompt: number,
): Promise<Float32Array> => {
  const width = runner.config.vocabSize;
  const logits = new Float32Array(sequence.length * width);
  const chunks = new ChunkedCache(runner);
  await chunks.read(sequence.slice(0, prompt), 0, {
    outputs: ['logits'],
    keep: prompt,
    ask: (_start, length) => ({
      select: int32(
        Array.from({ length }, (_, at) => at),
        [length],
      ),
    }),
    take: (result, start) => {
      logits.set(result.logits, start * width);
    },
  });
  const cache = new KeyValueCache(runner.cacheShape, 2, sequence.length);
  cache.copyFrom(chunks.cache, 0, 1, prompt);
  for (let position = prompt; position < sequence.length; position += 1) {
    const positions = int64([0, position], [2, 1]);
    const result = await runner.run(
      {
        ids: int32([0, sequence[position] ?? 0], [2, 1]),
        positions,
        lengths: positions,
        select: int32([1], [1]),
        cache: cacheFeeds(cache),
      },
      ['present', 'logits'],
    );
    logits.set(result.logits, position * width);
    cache.write(result.present, 1, 1, 1, position);
  }
  return logits;
};
