// A recorded run in, exactly this text out: the lines for pipes, for people in a hurry, and for GitHub.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunEvent } from '../../schemas/event.ts';
import { annotation, githubReporter } from '../../ui/github.ts';
import { jsonReporter } from '../../ui/json.ts';
import { memoryOutput } from '../../ui/output.ts';
import { plainReporter } from '../../ui/plain.ts';
import { quietReporter } from '../../ui/quiet.ts';
import type { Reporter } from '../../ui/reporter.ts';
import { golden, recorded } from './recorded.ts';

process.env['TZ'] = 'UTC';

const play = (reporter: Reporter, events: readonly RunEvent[]): void => {
  for (const event of events) reporter.event(event);
};

test('plain: stable lines, the failure block last', () => {
  const output = memoryOutput();
  play(plainReporter(output), recorded('lora-fails'));
  golden('lora-fails.plain.txt', output.text());
});

test('plain: the same words with colours and without', () => {
  const [bare, painted] = [memoryOutput(), memoryOutput({ colour: true })];
  for (const output of [bare, painted]) play(plainReporter(output), recorded('lora-fails'));
  assert.notEqual(painted.text(), bare.text());
  assert.equal(painted.text().replaceAll(/\u001b\[\d+m/g, ''), bare.text());
});

test('plain: a training step is heard of at most every ten seconds', () => {
  const output = memoryOutput();
  const events = recorded('lora-fails');
  play(plainReporter(output), events);
  const lines = output
    .text()
    .split('\n')
    .filter((line) => line.includes('adapter[r=8]') && / step /.test(line));
  const progress = events.filter(
    (event) => event.event === 'step-progress' && event.step === 'adapter[r=8]',
  );
  assert.ok(lines.length > 5 && lines.length <= 18, `${lines.length} of ${progress.length}`);
});

test('plain: many cached steps are one number unless asked for', () => {
  const [started] = recorded('lora-fails');
  assert.ok(started?.event === 'run-started');
  const [step] = started.steps;
  const cached = recorded('lora-fails').find(({ event }) => event === 'step-cached');
  assert.ok(step !== undefined && cached?.event === 'step-cached');
  const many = Array.from({ length: 60 }, (_, i) => ({ ...step, step: `s${i}` }));
  const events = [
    { ...started, steps: many },
    ...many.map((each) => ({ ...cached, step: each.step })),
  ];
  const [brief, verbose] = [memoryOutput(), memoryOutput()];
  play(plainReporter(brief), events);
  play(plainReporter(verbose, { eachCached: true }), events);
  assert.equal(brief.text().split('\n').length, 2);
  assert.equal(verbose.text().split('\n').length, 62);
});

test('quiet: nothing but the failure', () => {
  const output = memoryOutput();
  play(quietReporter(output), recorded('lora-fails'));
  golden('lora-fails.quiet.txt', output.text());
});

test('json: the events, one a line', () => {
  const output = memoryOutput();
  const events = recorded('lora-fails');
  play(jsonReporter(output), events);
  const lines = output.text().trimEnd().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as RunEvent),
    events,
  );
});

test('github: groups open and close in pairs, and a failure is annotated', () => {
  const output = memoryOutput();
  play(githubReporter(output, plainReporter(output)), recorded('lora-fails'));
  let open = 0;
  for (const line of output.text().split('\n')) {
    if (line.startsWith('::group::')) open += 1;
    if (line === '::endgroup::') open -= 1;
    assert.ok(open === 0 || open === 1, line);
  }
  assert.equal(open, 0);
  assert.match(
    output.text(),
    /^::error title=adapter\[r=16\] failed::E502 loss is NaN at step 31$/m,
  );
});

test('github: an annotation escapes what would end it', () => {
  const location = {
    file: 'a,b:c.yaml',
    start: { line: 3, column: 5 },
    end: { line: 3, column: 9 },
    sourceLine: '',
  };
  assert.equal(
    annotation({ severity: 'error', code: 'E301', message: '100%\nsure', location, hint: 'no' }),
    '::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=E301::100%25%0Asure (no)',
  );
});
