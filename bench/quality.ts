// What a format costs in quality, to stand beside its speed: perplexity and the share of positions whose most probable
// token is that of fp32, on the first tokens of a text, read in windows.
//   node bench/quality.ts --model FILE --text ROWS.jsonl [--field answer] [--tokens 5000] [--window 512]
//     [--formats stored,int8,q4_0,nf4] [--activations float,int16,int8] [--threads 2]
// `stored` is the file's own format; the others are made by the step `quantize` first.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Activations } from '../models/digits.ts';
import { loadRunner } from '../models/decode/load.ts';
import { ChunkedCache } from '../models/decode/prefill.ts';
import { int32, int64, type Runner } from '../models/decode/runner.ts';
import { benchModel, type BenchModel } from './model-file.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    text: { type: 'string' },
    field: { type: 'string', default: 'answer' },
    tokens: { type: 'string', default: '5000' },
    window: { type: 'string', default: '512' },
    formats: { type: 'string', default: 'stored,int8' },
    activations: { type: 'string', default: 'float,int8' },
    threads: { type: 'string', default: '2' },
  },
});
if (flags.model === undefined || flags.text === undefined)
  throw new Error('--model FILE --text ROWS.jsonl');

interface Read {
  readonly perplexity: number;
  readonly best: readonly number[];
}

/** Every window on its own: its tokens but the first are predicted. */
const readAll = async (
  runner: Runner,
  tokens: readonly number[],
  window: number,
): Promise<Read> => {
  const vocabulary = runner.config.vocabSize;
  const best: number[] = [];
  let nll = 0;
  for (let from = 0; from + 1 < tokens.length; from += window) {
    const ids = tokens.slice(from, from + window);
    const chunks = new ChunkedCache(runner);
    await chunks.read(ids, 0, {
      outputs: ['next', 'scores'],
      keep: 0,
      ask: (start, length) => {
        const places = Array.from({ length }, (_, index) => index);
        const picks = places.map((at) => at * vocabulary + (ids[start + at + 1] ?? 0));
        return { select: int32(places, [length]), picks: int64(picks, [length]) };
      },
      take: ({ next, scores }, start, length) => {
        for (let at = 0; at < length && start + at + 1 < ids.length; at += 1) {
          best.push(next[at] ?? 0);
          nll -= scores[at] ?? NaN;
        }
      },
    });
  }
  return { perplexity: Math.exp(nll / best.length), best };
};

const read = async (
  model: BenchModel,
  weights: 'float32' | 'stored',
  activations: Activations,
  tokens: readonly number[],
): Promise<Read> => {
  const runner = await loadRunner({
    config: model.config,
    weights: model.weights(weights),
    adapter: null,
    head: 'scores',
    activations,
    maxLength: Number(flags.window),
    threads: Number(flags.threads),
  });
  try {
    return await readAll(runner, tokens, Number(flags.window));
  } finally {
    await runner.release();
  }
};

const model = await benchModel(flags.model);
const tokenizer = await model.tokenizer();
if (tokenizer === null) throw new Error('the model has no tokenizer');
const text = readFileSync(flags.text, 'utf8')
  .split('\n', 400)
  .filter((line) => line !== '')
  .map((line) => (JSON.parse(line) as Record<string, string>)[flags.field] ?? '')
  .join('\n\n');
const tokens = tokenizer.encode(text).slice(0, Number(flags.tokens));
const reference = await read(model, 'float32', 'float', tokens);
console.log(`fp32: perplexity ${reference.perplexity.toFixed(3)}, ${tokens.length} tokens`);
for (const format of flags.formats.split(',')) {
  const made = format === 'stored' ? model : await benchModel(flags.model, format);
  for (const activations of flags.activations.split(',')) {
    const own = await read(made, 'stored', activations as Activations, tokens);
    const same = own.best.filter((token, at) => token === reference.best[at]).length;
    console.log(
      `${format}, ${activations} activations: perplexity ${own.perplexity.toFixed(3)}, ` +
        `argmax as fp32 ${((100 * same) / own.best.length).toFixed(1)} %`,
    );
  }
  if (made !== model) made.dispose();
}
model.dispose();
