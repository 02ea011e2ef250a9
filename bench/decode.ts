// Tokens per second of reading prompts and of decoding, on a real model file. The peer (transformers, the same
// weights as fp32 and bf16) runs in the same call where Python has it.
//   node bench/decode.ts --model FILE [--run float32:float,stored:float,stored:int8,...] [--rows 1,32] [--prompt 64]
//     [--new 48] [--read 512] [--threads 2] [--turns 5] [--peer python --folder HF]
// Medians of the turns, lowest and highest behind. A run is `weights:activations`; weights are float32, stored (as the
// file has them) or a format of the step quantize (`int8+head`: the head, too).

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, processBytes } from './measures.ts';
import { greedy } from '../models/decode/parameters.ts';
import type { Activations } from '../models/digits.ts';
import { loadRunner } from '../models/decode/load.ts';
import { ChunkedCache } from '../models/decode/prefill.ts';
import { int32 } from '../models/decode/runner.ts';
import { generateText } from '../models/decode/text.ts';
import { stream } from '../random/threefry.ts';
import { benchModel } from './model-file.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    run: { type: 'string', default: 'float32:float,stored:float,stored:int8' },
    rows: { type: 'string', default: '1,32' },
    prompt: { type: 'string', default: '64' },
    new: { type: 'string', default: '48' },
    read: { type: 'string', default: '512' },
    threads: { type: 'string', default: '2' },
    turns: { type: 'string', default: '5' },
    peer: { type: 'string' },
    folder: { type: 'string' },
  },
});
if (flags.model === undefined) throw new Error('--model FILE');
const threads = Number(flags.threads);
const turns = Number(flags.turns);
const original = await benchModel(flags.model);
const { config } = original;

const prompt = (length: number, salt: number): number[] => {
  const random = stream(1, 'bench prompt', salt);
  return Array.from({ length }, () => 1000 + random.below(config.vocabSize - 2000));
};
/** Lengths of ragged prompts: as medical questions are. */
const ragged = Array.from({ length: 12 }, (_, index) => prompt(60 + ((index * 53) % 260), index));

const seconds = async (work: () => Promise<void>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

const measure = async (weights: string, activations: Activations): Promise<void> => {
  const asStored = weights === 'float32' || weights === 'stored';
  const model = asStored ? original : await benchModel(flags.model ?? '', weights);
  const start = performance.now();
  const runner = await loadRunner({
    config,
    weights: model.weights(weights === 'float32' ? 'float32' : 'stored'),
    adapter: null,
    head: 'next',
    activations,
    maxLength: 1024,
    threads,
  });
  const name = `${weights}, ${activations} activations`;
  console.log(`${name}: loaded in ${((performance.now() - start) / 1000).toFixed(2)} s`);
  const read = async (tokens: readonly number[]): Promise<void> => {
    const chunks = new ChunkedCache(runner);
    await chunks.read(tokens, 0, {
      outputs: ['next'],
      keep: tokens.length,
      ask: (_start, length) => ({ select: int32([length - 1, length - 1], [2]) }),
      take: () => undefined,
    });
  };
  const length = Number(flags.read);
  await read(prompt(length, 99));
  const report = (what: string, rates: readonly number[]): void => {
    const [low, high] = [Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(0));
    console.log(`  ${what}: ${median(rates).toFixed(0)} tokens/s (${low} to ${high})`);
  };
  const inTurn = async (work: (turn: number) => Promise<number>): Promise<number[]> => {
    const rates: number[] = [];
    for (let turn = 0; turn < turns; turn += 1) rates.push(await work(turn));
    return rates;
  };
  report(
    `read ${length}`,
    await inTurn(async (turn) => length / (await seconds(() => read(prompt(length, 100 + turn))))),
  );
  const tokens = ragged.reduce((sum, { length: own }) => sum + own, 0);
  const readAll = async (): Promise<void> => {
    for (const one of ragged) await read(one);
  };
  report(
    `read ${ragged.length} ragged prompts`,
    await inTurn(async () => tokens / (await seconds(readAll))),
  );
  for (const rows of flags.rows.split(',').map(Number)) {
    const made = Number(flags.new);
    const rates: number[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      let from = 0;
      let counted = 0;
      await generateText(
        runner,
        Array.from({ length: rows }, (_, row) => ({
          id: String(row),
          sequence: 0,
          prompt: prompt(Number(flags.prompt), row),
        })),
        {
          decoding: greedy(made),
          seed: 1,
          places: rows,
          stopped: () => false,
          signal: new AbortController().signal,
          onFinished: () => undefined,
          // The first step is left out: prompts are read before it.
          onStep: (generated) => {
            if (from === 0) {
              from = performance.now();
              counted = generated;
            } else if (generated === rows * made) {
              rates.push(((generated - counted) * 1000) / (performance.now() - from));
            }
          },
        },
      );
    }
    report(`decode ${rows} rows`, rates);
  }
  console.log(`  peak memory so far ${(processBytes('VmHWM') / 1e6).toFixed(0)} MB`);
  await runner.release();
  if (model !== original) model.dispose();
};

for (const run of flags.run.split(',')) {
  const [weights = 'stored', activations = 'float'] = run.split(':');
  await measure(weights, activations as Activations);
}
original.dispose();

if (flags.peer !== undefined) {
  const script = join(import.meta.dirname, 'peers/transformers_decode.py');
  const args = [
    script,
    flags.folder ?? '',
    flags.rows,
    flags.prompt,
    flags.new,
    flags.read,
    flags.threads,
  ];
  spawnSync(flags.peer, args, { stdio: 'inherit' });
}
