// A step under a test's control: it says over a socket that it has started and does what it is told. Without a socket
// it does what its parameters say. Used as a plugin by workers and as a definition by the test process.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { defineStep, StepError, type StepContext } from '../../../../engine/step.ts';

const say = (socket: Socket, message: object): void =>
  void socket.write(`${JSON.stringify(message)}\n`);

/** Says that the step runs, and waits for one word. */
const askController = async (path: string, context: StepContext): Promise<string> => {
  const socket = createConnection(path);
  const lines = createInterface({ input: socket });
  say(socket, { started: context.params['text'], pid: process.pid });
  const word = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve);
    socket.on('error', reject);
    context.signal.addEventListener('abort', () => {
      resolve('stopped');
    });
  });
  lines.close();
  socket.destroy();
  return word;
};

const inputText = (context: StepContext): string =>
  context
    .inputs('in')
    .map((input) => `${input.label ?? ''}<${readFileSync(input.file('text'), 'utf8')}>`)
    .join('');

/** Counts to `rows`, saving each number in the journal and every other in a checkpoint, so that a resume can be seen. */
const countRows = async (context: StepContext, rows: number): Promise<string> => {
  const { journal } = context.checkpoint;
  const done = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').length - 1 : 0;
  const saved = context.checkpoint.load();
  let sum = saved === null ? 0 : Number(readFileSync(join(saved, 'sum'), 'utf8'));
  let next = saved === null ? 0 : Number(readFileSync(join(saved, 'next'), 'utf8'));
  if (done < next) throw new Error(`the journal has ${done} rows, the checkpoint ${next}`);
  for (; next < rows; next += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    const stop = context.signal.aborted;
    sum += next * next;
    if (next >= done) appendFileSync(journal, `${next}\n`);
    context.progress({ unit: 'row', done: next + 1, total: rows, values: { sum } });
    if (next % 2 === 1 || stop) {
      const state = { sum, next: next + 1 };
      await context.checkpoint.save((folder) => {
        writeFileSync(join(folder, 'sum'), String(state.sum));
        writeFileSync(join(folder, 'next'), String(state.next));
      });
    }
    if (stop) throw context.signal.reason;
  }
  return `${sum}:${readFileSync(journal, 'utf8').split('\n').length - 1}`;
};

const spin = (ms: number): void => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};

export const step = defineStep({
  name: 'fake',
  version: 1,
  summary: 'writes text',
  params: {
    type: 'object',
    additionalProperties: false,
    properties: {
      text: { type: 'string', default: '' },
      act: {
        type: 'string',
        default: 'write',
        description: 'write, fail, crash, exit, hang, spin, random',
      },
      rows: { type: 'integer', default: 0 },
      gate: { type: 'boolean' },
      file: { type: 'string', 'x-mesa-path': 'any' },
      refer: { type: 'boolean', description: 'reference the file instead of copying it' },
      control: { type: 'string', 'x-mesa-effect': 'none' },
      attempts: {
        type: 'string',
        'x-mesa-effect': 'none',
        description: 'a file that gets a line per attempt',
      },
      observe: { type: 'boolean' },
      seeded: { type: 'boolean' },
      device: { type: 'string' },
    },
  },
  inputs: { in: { kind: ['x-text'], many: true, optional: true } },
  outputs: () => ({ out: 'x-text' }),
  usesSeed: (params) => params['seeded'] === true,
  deterministic: (params) => params['observe'] !== true,
  device: (params) => (typeof params['device'] === 'string' ? params['device'] : null),
  weight: 'light',
  async run(context) {
    const { params } = context;
    const word = (name: string): string => {
      const value = params[name];
      return typeof value === 'string' ? value : '';
    };
    const text = word('text');
    if (typeof params['attempts'] === 'string') appendFileSync(params['attempts'], `${text}\n`);
    const told =
      typeof params['control'] === 'string' ? await askController(params['control'], context) : '';
    const act = told === '' ? word('act') : told;
    context.log(`${text} does ${act}`);
    if (act === 'stopped') throw context.signal.reason;
    if (act === 'fail') throw new StepError('E599', `${text} failed as told`, 'tell it otherwise');
    if (act === 'throw') throw new TypeError('a bug');
    if (act === 'crash') process.kill(process.pid, 'SIGSEGV');
    if (act === 'exit') process.exit(7);
    if (act === 'hang') await new Promise(() => setInterval(() => undefined, 1000));
    if (act === 'block') spin(1e9);
    const { folder } = context.output('out');
    const rows = Number(params['rows'] ?? 0);
    const counted = rows > 0 ? await countRows(context, rows) : '';
    const random = act === 'random' ? String(process.hrtime.bigint()) : '';
    writeFileSync(join(folder, 'text'), `${text}${counted}${random}${inputText(context)}`);
    if (params['refer'] === true) await context.output('out').reference('big', word('file'));
    else if (typeof params['file'] === 'string')
      writeFileSync(join(folder, 'copy'), readFileSync(params['file']));
    if (typeof params['gate'] === 'boolean') context.gate('text is good', params['gate']);
    if (params['seeded'] === true) writeFileSync(join(folder, 'seed'), String(context.seed));
    // Said while working and at the end.
    for (const length of [0, text.length]) context.measure('length', length, 'characters');
    context.report({ kind: 'headline', text: `wrote ${text}` });
  },
});

export const heavy = defineStep({ ...step, name: 'heavy', weight: 'model' });
