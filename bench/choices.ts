// Seconds for the log-likelihoods of multiple-choice questions: rows as lm-evaluation-harness builds them (a golden
// file with `samples: [{context, continuations, loglikelihood, pred}]` and the seconds that the harness took), and
// choices of several tokens after a long prefix, against computing the prefix anew for each.
//   node bench/choices.ts --model FILE.gguf --task TASK.json[,TASK.json] [--rows 50] [--weights float32|stored]
//     [--activations float|int16|int8] [--format int8] [--threads 2]

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { encodePair } from '../models/decode/continuations.ts';
import { LikelihoodReader, sumOf } from '../models/decode/likelihood.ts';
import { loadRunner } from '../models/decode/load.ts';
import { inTokenOrder } from '../steps/generate/work.ts';
import { benchModel } from './model-file.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    task: { type: 'string' },
    rows: { type: 'string', default: '50' },
    weights: { type: 'string', default: 'float32' },
    activations: { type: 'string', default: 'float' },
    format: { type: 'string' },
    threads: { type: 'string', default: '2' },
  },
});
if (flags.model === undefined || flags.task === undefined)
  throw new Error('--model FILE.gguf --task TASK.json');

interface Task {
  readonly seconds: number;
  readonly n: number;
  readonly samples: readonly {
    readonly context: string;
    readonly continuations: readonly string[];
    readonly loglikelihood: readonly number[];
    readonly pred: number;
  }[];
}

const model = await benchModel(flags.model, flags.format);
const tokenizer = await model.tokenizer();
if (tokenizer === null) throw new Error('the model has no tokenizer');
const runner = await loadRunner({
  config: model.config,
  weights: model.weights(flags.weights === 'stored' ? 'stored' : 'float32'),
  adapter: null,
  head: 'scores',
  activations: flags.activations as 'float' | 'int16' | 'int8',
  maxLength: 4096,
  threads: Number(flags.threads),
});
const encode = (text: string, addSpecialTokens: boolean): readonly number[] =>
  tokenizer.encode(text, { addSpecialTokens });
const rule = { special: true, prefixToken: 1 };

for (const path of flags.task.split(',')) {
  const task = JSON.parse(readFileSync(path, 'utf8')) as Task;
  const samples = task.samples.slice(0, Number(flags.rows));
  const reader = new LikelihoodReader(runner);
  let worst = 0;
  let same = 0;
  let tokens = 0;
  const start = performance.now();
  const questions = samples.map(({ context, continuations, ...golden }) => {
    const pairs = continuations.map((text) => encodePair(encode, context, text, rule));
    const choices = pairs.map(({ continuation }) => continuation);
    return { ...golden, first: pairs[0]?.context ?? [], choices };
  });
  const sorted = inTokenOrder(questions, ({ first }) => first);
  for (const [place, { first, choices, loglikelihood, pred }] of sorted.entries()) {
    const scored = await reader.continuations(first, choices, sorted[place + 1]?.first);
    tokens += first.length;
    const sums = scored.map(({ logprobs }) => sumOf(logprobs));
    sums.forEach((value, index) => {
      worst = Math.max(worst, Math.abs(value - (loglikelihood[index] ?? NaN)));
    });
    same += Number(sums.indexOf(Math.max(...sums)) === pred);
  }
  const seconds = (performance.now() - start) / 1000;
  const peer = (task.seconds * samples.length) / task.n;
  console.log(
    `${basename(path, '.json')}: ${samples.length} rows, ${tokens} tokens in ${seconds.toFixed(1)} s ` +
      `(${(tokens / seconds).toFixed(0)} tokens/s); the harness took ${peer.toFixed(1)} s where the file was made; ` +
      `largest difference ${worst.toExponential(1)}, ${same} predictions the same`,
  );
}

/** Eight choices of four tokens after a prefix of 250, shared or not. */
const token = (index: number): number => 1000 + ((index * 7919) % 40000);
const prefix = Array.from({ length: 250 }, (_, index) => token(index));
const choices = Array.from({ length: 8 }, (_, choice) =>
  Array.from({ length: 4 }, (_unused, index) => token(choice * 10 + index)),
);
const timed = async (work: () => Promise<unknown>): Promise<number> => {
  await work();
  const start = performance.now();
  await work();
  return performance.now() - start;
};
const shared = await timed(() => new LikelihoodReader(runner).continuations(prefix, choices));
const anew = await timed(async () => {
  for (const choice of choices) await new LikelihoodReader(runner).continuations(prefix, [choice]);
});
console.log(
  `8 choices of 4 tokens after 250: ${shared.toFixed(0)} ms sharing the prefix, ${anew.toFixed(0)} ms without ` +
    `(${(anew / shared).toFixed(1)} times)`,
);
await runner.release();
model.dispose();
