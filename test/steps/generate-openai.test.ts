// generate with backend: openai against a server on the loopback: what is asked and written, that faults and
// interruptions leave no trace, and that nothing about where the server is gets into the result.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { StepError, type InputArtifact } from '../../engine/step.ts';
import type { PredictionRow, PredictionsDocument, PromptRow } from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { generate } from '../../steps/generate/step.ts';
import {
  chatAnswer,
  echoAnswer,
  fakeServer,
  type FakeServer,
  type Seen,
} from '../models/decode/openai-server.ts';
import { documentOf, rowsOf } from './artifacts.ts';
import { folderArtifact, prepareStep, runStep, type StepRun } from './context.ts';

const root = mkdtempSync(join(tmpdir(), 'mesa-openai-'));
const cleanup: (() => unknown)[] = [];
after(async () => {
  for (const each of cleanup) await each();
  rmSync(root, { recursive: true, force: true });
});

const serve = async (answer: (seen: Seen) => unknown): Promise<FakeServer> => {
  const fake = await fakeServer(answer);
  cleanup.push(() => fake.close());
  return fake;
};
const kept = <Run extends StepRun>(run: Run): Run => {
  cleanup.push(() => {
    run.dispose();
  });
  return run;
};

let made = 0;
const promptsOf = (rows: readonly PromptRow[], special = false): InputArtifact => {
  made += 1;
  const path = join(root, `prompts-${made}`);
  mkdirSync(path);
  writeFileSync(join(path, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  writeFileSync(
    join(path, 'format.json'),
    JSON.stringify({ digest: 'f', special_tokens_in_text: special }),
  );
  return folderArtifact('prompts', path);
};

const choices = [
  { label: 'A', text: ' yes' },
  { label: 'B', text: ' no' },
];
const rows: readonly PromptRow[] = Array.from({ length: 6 }, (_, index) => ({
  id: `q${index}`,
  item: `item${index}`,
  prompt: `Question ${index}?`,
  completion: ' yes',
  answer: 'A',
  group: { kind: index % 2 === 0 ? 'even' : 'odd' },
  choices,
}));

const run = async (
  fake: FakeServer,
  params: JsonObject,
  prompts = promptsOf(rows),
): Promise<StepRun> =>
  kept(
    await runStep(generate, {
      params: { backend: 'openai', base_url: fake.url, model: 'tiny', ...params },
      inputs: { prompts },
    }),
  );
const predictions = (done: StepRun): readonly PredictionRow[] =>
  rowsOf<PredictionRow>(done.output('predictions', 'predictions'));
const filesOf = (done: StepRun): readonly string[] => {
  const artifact = done.output('predictions', 'predictions');
  return artifact.names.map((name) => readFileSync(artifact.file(name), 'utf8'));
};

const upper = ({ body }: Seen): unknown => ({
  choices: [{ text: String(body['prompt']).toUpperCase(), finish_reason: 'stop' }],
  usage: { completion_tokens: 2 },
});

describe('text', () => {
  test('prompts as they are to the completions endpoint', async () => {
    const fake = await serve(upper);
    const done = await run(
      fake,
      { max_new_tokens: 7, stop: ['\n'], extra_body: { top_k: 4, stop: null } },
      promptsOf(rows, true),
    );
    assert.deepEqual(
      predictions(done).map(({ id, text, finish_reason, answer, group }) => [
        id,
        text,
        finish_reason,
        answer,
        group,
      ]),
      rows.map(({ id, prompt, group }) => [id, prompt?.toUpperCase(), 'stop', 'A', group]),
    );
    const [first] = fake.seen;
    assert.equal(first?.path, '/v1/completions');
    assert.deepEqual(first?.body, {
      model: 'tiny',
      prompt: 'Question 0?',
      max_tokens: 7,
      temperature: 0,
      add_special_tokens: false,
      top_k: 4,
    });
    const document = documentOf<PredictionsDocument>(
      done.output('predictions', 'predictions'),
      'predictions.json',
    );
    assert.equal(document.model, 'openai:tiny');
    assert.equal(document.batch_invariant, false);
    assert.equal(document.decoding['max_new_tokens'], 7);
    assert.equal(done.measurements.get('requests'), 6);
    assert.equal(done.measurements.get('answer_tokens'), 12);
  });

  test('conversations to the chat endpoint; several answers with seeds of their own', async () => {
    const fake = await serve(({ body }) => chatAnswer(`seed ${String(body['seed'])}`, 'length'));
    const messages = [{ role: 'user', content: 'hello' }];
    const talks = rows.slice(0, 2).map((row) => ({ ...row, messages }));
    const done = await run(
      fake,
      { temperature: 0.7, top_p: 0.9, num_return_sequences: 2 },
      promptsOf(talks),
    );
    const answers = predictions(done);
    assert.deepEqual(
      answers.map(({ id }) => id),
      ['q0#0', 'q0#1', 'q1#0', 'q1#1'],
    );
    assert.equal(new Set(answers.map(({ text }) => text)).size, 4);
    assert.ok(answers.every(({ finish_reason }) => finish_reason === 'length'));
    assert.deepEqual(fake.seen[0]?.body['messages'], messages);
    assert.equal(fake.seen[0]?.path, '/v1/chat/completions');
    const again = await run(
      fake,
      { temperature: 0.7, top_p: 0.9, num_return_sequences: 2 },
      promptsOf(talks),
    );
    assert.deepEqual(filesOf(again), filesOf(done));
    await run(fake, { endpoint: 'chat' }, promptsOf([rows[0]!]));
    assert.deepEqual(fake.seen.at(-1)?.body['messages'], [
      { role: 'user', content: 'Question 0?' },
    ]);
  });

  test('equal requests are asked once', async () => {
    const fake = await serve(upper);
    const twins = rows.map((row) => ({ ...row, prompt: 'the same' }));
    const done = await run(fake, {}, promptsOf(twins));
    assert.equal(fake.seen.length, 1);
    assert.equal(predictions(done).length, 6);
  });
});

describe('likelihoods', () => {
  test('of choices', async () => {
    const fake = await serve(echoAnswer);
    const done = await run(fake, { mode: 'choices' });
    const [first] = predictions(done);
    assert.deepEqual(first?.choices, [
      // "Qu|es|ti|on| 0|? |ye|s" and "Qu|es|ti|on| 0|? |no": tokens that straddle the border count.
      { label: 'A', text: ' yes', logprob: -5, tokens: 3, is_greedy: true },
      { label: 'B', text: ' no', logprob: -4, tokens: 2, is_greedy: true },
    ]);
    assert.equal(first?.prediction, 'B');
    assert.equal(fake.seen.length, 12);
    const { body } = fake.seen[0]!;
    assert.deepEqual(
      [body['echo'], body['logprobs'], body['prompt']],
      [true, 1, 'Question 0? yes'],
    );
  });

  test('of completions, of whole texts, of token ids', async () => {
    const fake = await serve(echoAnswer);
    const tokens = { id: 't', item: '', prompt_tokens: [1, 2], completion_tokens: [3, 4, 5] };
    const whole = { id: 'w', item: '', prompt: 'abcdef' };
    const done = await run(fake, { mode: 'perplexity' }, promptsOf([rows[0]!, whole, tokens]));
    assert.deepEqual(
      predictions(done).map(({ id, logprob, tokens: count }) => [id, logprob, count]),
      [
        ['q0', -5, 3],
        ['w', -4, 2],
        ['t', -9, 3],
      ],
    );
  });

  test('a server without them is a clear error that names the row', async () => {
    const fake = await serve(upper);
    await assert.rejects(run(fake, { mode: 'choices', concurrency: 1 }), (error: unknown) => {
      assert.ok(error instanceof StepError);
      assert.equal(error.code, 'E590');
      assert.match(error.message, /row q0: the server sent no log-probabilities/);
      assert.match(error.hint ?? '', /vLLM can/);
      return true;
    });
  });
});

describe('faults', () => {
  test('leave no trace in the result', async () => {
    const calm = await serve(upper);
    const wild = await serve(upper);
    const now = { 'retry-after': '0' };
    wild.faults.push(
      { status: 429, headers: now },
      null,
      { status: 500, headers: now },
      { status: 503, headers: now },
      null,
      { status: 408, headers: now },
    );
    const quiet = await run(calm, { concurrency: 1 });
    const loud = await run(wild, { concurrency: 3, rate_limit: 600_000, retries: 9 });
    assert.deepEqual(filesOf(loud), filesOf(quiet));
    assert.equal(loud.measurements.get('retries'), 4);
    assert.equal(calm.most, 1);
    assert.ok(wild.most <= 3);
  });

  test('what was answered before a failure is not asked again', async () => {
    const fake = await serve(upper);
    fake.faults.push(null, null, null, { status: 400, body: '{"error":{"message":"no"}}' });
    const params = { backend: 'openai', base_url: fake.url, model: 'tiny', concurrency: 1 };
    const inputs = { prompts: promptsOf(rows) };
    const first = kept(prepareStep(generate, { params, inputs }));
    await assert.rejects(generate.run(first.context), /row q3: .* answers 400: no/);
    assert.equal(fake.seen.length, 4);
    const second = kept(await runStep(generate, { params, inputs, resume: first }));
    assert.equal(fake.seen.length, 7);
    assert.deepEqual(
      fake.seen.slice(4).map(({ body }) => body['prompt']),
      ['Question 3?', 'Question 4?', 'Question 5?'],
    );
    assert.deepEqual(filesOf(second), filesOf(await run(fake, {})));
  });

  test('stopping: what is there is kept, and the reason is thrown', async () => {
    const fake = await serve(upper);
    const stop = new AbortController();
    const reason = new Error('interrupted');
    fake.answer = (seen) => {
      if (fake.seen.length === 3) stop.abort(reason);
      return upper(seen);
    };
    const params = { backend: 'openai', base_url: fake.url, model: 'tiny', concurrency: 1 };
    const prepared = kept(
      prepareStep(generate, { params, inputs: { prompts: promptsOf(rows) }, signal: stop.signal }),
    );
    await assert.rejects(generate.run(prepared.context), reason);
    assert.equal(fake.seen.length, 3);
    assert.equal(
      readFileSync(prepared.context.checkpoint.journal, 'utf8').trim().split('\n').length,
      2,
    );
  });
});

describe('the key', () => {
  const secret = 'sk-loopback-42';
  const path = join(root, 'key');
  writeFileSync(path, `${secret}\n`);

  test('from the environment or a file, into the header alone', async () => {
    const fake = await serve(upper);
    process.env['MESA_TEST_KEY'] = secret;
    const byName = await run(fake, { api_key_env: 'MESA_TEST_KEY' });
    delete process.env['MESA_TEST_KEY'];
    const byFile = await run(fake, { api_key_file: path });
    assert.ok(fake.seen.every(({ headers }) => headers.authorization === `Bearer ${secret}`));
    assert.ok(fake.seen.every(({ body }) => !JSON.stringify(body).includes(secret)));
    for (const done of [byName, byFile]) {
      const journal = readFileSync(done.context.checkpoint.journal, 'utf8');
      const said = [...filesOf(done), journal, ...done.logs, JSON.stringify(done.reports)];
      assert.ok(said.every((text) => !text.includes(secret) && !text.includes(fake.url)));
    }
    assert.deepEqual(filesOf(byName), filesOf(byFile));
  });

  test('missing, and of characters that no header holds', async () => {
    const fake = await serve(upper);
    await assert.rejects(run(fake, { api_key_env: 'MESA_NO_SUCH_KEY' }), {
      code: 'E591',
      message: /MESA_NO_SUCH_KEY is not set/,
    });
    writeFileSync(path, 'two\nlines');
    await assert.rejects(run(fake, { api_key_file: path }), (error: unknown) => {
      assert.ok(error instanceof StepError && !error.message.includes('lines'));
      return true;
    });
    assert.equal(fake.seen.length, 0);
  });
});

describe('parameters', () => {
  const check = (params: JsonObject, inputs: readonly string[]): readonly string[] =>
    (generate.check?.(params, inputs) ?? []).map(({ pointer, message }) => `${pointer} ${message}`);

  test('what a server needs, and what it can’t be asked', () => {
    assert.deepEqual(check({}, ['prompts']), [' generate lacks the input "model"']);
    assert.deepEqual(check({ model: 'm' }, ['model']), [
      '/model model has no meaning without backend: openai',
    ]);
    const openai = { backend: 'openai', base_url: 'http://x/v1', model: 'm' };
    assert.deepEqual(check(openai, ['prompts']), []);
    assert.equal(check({ backend: 'openai' }, ['prompts']).length, 2);
    assert.equal(check(openai, ['prompts', 'model', 'adapter']).length, 2);
    assert.deepEqual(check({ ...openai, top_k: 5 }, []), ["/top_k OpenAI's protocol has no top_k"]);
    assert.match(
      check({ ...openai, mode: 'choices', endpoint: 'chat' }, [])[0] ?? '',
      /needs the completions endpoint/,
    );
    assert.match(
      check({ ...openai, api_key_env: 'A', api_key_file: 'b' }, [])[0] ?? '',
      /one place only/,
    );
  });

  test('an observation without numerics; where and how fast has no effect on the key', () => {
    const openai = { backend: 'openai' };
    assert.equal(generate.deterministic?.(openai), false);
    assert.equal(generate.deterministic?.({}), true);
    assert.equal(generate.device?.(openai), null);
    const properties = generate.params['properties'] as Record<string, JsonObject>;
    for (const name of [
      'base_url',
      'api_key_env',
      'api_key_file',
      'concurrency',
      'rate_limit',
      'retries',
      'request_timeout',
    ])
      assert.equal(properties[name]?.['x-mesa-effect'], 'none', name);
  });
});
