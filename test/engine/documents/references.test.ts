// `${...}`: typed, escaped, never evaluated; `extends` and `--set`, which decide where values come from.

import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  analyzeExperiment,
  resolveDocument,
  type AnalyzeRequest,
} from '../../../engine/analyze.ts';
import { listPlugins } from '../../../engine/read-experiment.ts';
import { looksSecret, parseReferences } from '../../../engine/reference-syntax.ts';
import { resolvedYaml } from '../../../engine/resolved-yaml.ts';
import { err } from '../../../engine/result.ts';
import { analyzeText, codesOf, experimentOf, withRequest, type Extra } from './analyze-text.ts';

test('text is its segments put together again', () => {
  const part = fc.constantFrom(
    '${vars.a}',
    '${matrix.b-1}',
    '${env.C.d}',
    '$${',
    '$',
    '{',
    '}',
    'x',
    '${',
    '${ vars.a }',
    '$$',
    '${vars}',
    '${{ vars.a }}',
  );
  fc.assert(
    fc.property(
      fc.array(part).map((parts) => parts.join('')),
      (text) => {
        const segments = parseReferences(text);
        if (segments === null) {
          assert.ok(!text.includes('${'));
          return;
        }
        const plain = text.replaceAll('$${', '${');
        const again = segments
          .map((segment) =>
            typeof segment === 'string'
              ? segment
              : 'malformed' in segment
                ? segment.malformed.replaceAll('$${', '${')
                : segment.text,
          )
          .join('');
        assert.equal(again, plain);
      },
    ),
  );
});

const dataset = (withText: string, vars = ''): string =>
  `${vars}steps:\n  a: { uses: load-dataset, with: ${withText} }\n`;
const paramsOf = (text: string, extra: Extra = {}): unknown =>
  experimentOf(text, extra).instances[0]?.params;

test('a scalar that is one reference keeps its type; inside text it is text', () => {
  const vars = 'vars: { n: 5, s: { n: 3 }, list: [x, y], rev: 12e4567, v: 1.0, t: "a${vars.n}" }\n';
  assert.deepEqual(
    paramsOf(
      dataset(
        '{ take: "${vars.n}", sample: "${vars.s}", path: "${vars.list}", revision: "${vars.rev}", id: "x-${vars.v}-${vars.t}-$${vars.n}" }',
        vars,
      ).replaceAll('path: "${vars.list}", ', ''),
    ),
    {
      take: 5,
      sample: { n: 3, seed: 0, method: 'mesa' },
      revision: '12e4567',
      id: 'x-1.0-a5-${vars.n}',
      source: 'hub',
    },
  );
});

test('nothing in a value is run', () => {
  for (const text of [
    '${vars.a + 1}',
    '${process.exit(1)}',
    '${vars.a;}',
    '`id`',
    '$(id)',
    '{{ 7*7 }}',
    '${vars.constructor}',
    '${vars.__proto__}',
  ]) {
    const result = analyzeText(dataset(`{ id: ${JSON.stringify(text)} }`, 'vars: { a: 1 }\n'));
    if (result.ok) assert.equal(result.value.instances[0]?.params['id'], text);
    else assert.ok(result.error.every(({ code }) => code === 'E219' || code === 'E217'));
  }
});

test('the environment is read as YAML reads a scalar', () => {
  assert.deepEqual(paramsOf(dataset('{ take: "${env.N}", id: "${env.N}" }'), { env: { N: '7' } }), {
    take: 7,
    id: '7',
    source: 'hub',
  });
});

test('names of secrets are known', () => {
  for (const name of [
    'HF_TOKEN',
    'OPENAI_API_KEY',
    'password',
    'MY_SECRET',
    'aws_secret_access_key',
  ])
    assert.ok(looksSecret(name), name);
  for (const name of ['MODEL', 'PATH', 'PWD', 'MONKEY', 'TOKENIZER', 'KEYBOARD'])
    assert.ok(!looksSecret(name), name);
});

const parent = {
  'base.yaml':
    'seed: 3\nvars: { d: ./data }\nsteps:\n  a:\n    uses: load-dataset\n    with: { source: file, path: rows.jsonl, sample: { n: 2 } }\n  b: { uses: load-dataset, with: { path: "${vars.d}/x.csv" } }\n',
};

test('extends merges maps deep, and a null takes a step away', () => {
  const { instances, seed } = experimentOf(
    'extends: base.yaml\nsteps:\n  a: { with: { sample: { n: 5 }, take: 1 } }\n  b:\n',
    { files: parent },
  );
  assert.equal(seed, 3);
  assert.deepEqual(
    instances.map(({ id }) => id),
    ['a'],
  );
  assert.deepEqual(instances[0]?.params['sample'], { n: 5, seed: 0, method: 'mesa' });
  assert.equal(instances[0].params['take'], 1);
});

test('paths are relative to the file they are written in, those of --set to the working directory', () => {
  withRequest('extends: base.yaml\n', { files: parent }, (request) => {
    const folder = dirname(request.file);
    const pathsOf = (
      set: readonly (readonly [string, string])[],
      cwd: string,
    ): readonly unknown[] => {
      const result = resolveExperiment({
        ...request,
        cwd,
        overrides: set.map(([path, value]) => ({ path, value, origin: '--set' })),
      });
      return result.map((path) => (typeof path === 'string' ? path.replace(folder, 'HERE') : path));
    };
    assert.deepEqual(pathsOf([], '/elsewhere'), ['HERE/rows.jsonl', 'HERE/data/x.csv']);
    assert.deepEqual(
      pathsOf(
        [
          ['steps.a.with.path', 'mine.jsonl'],
          ['vars.d', '../d'],
        ],
        '/elsewhere/now',
      ),
      ['/elsewhere/now/mine.jsonl', '/elsewhere/d/x.csv'],
    );
  });
});

const resolveExperiment = (request: AnalyzeRequest): readonly unknown[] => {
  const result = analyzeExperiment(request);
  return result.ok ? result.value.instances.map(({ params }) => params['path']) : result.error;
};

test('--set is typed, puts in what is missing, and keeps what it does not touch', () => {
  const text = dataset('{ id: a, take: 1 }', 'vars: { list: [1, 2] }\n');
  const set = [
    ['steps.a.with.take', '7'],
    ['steps.a.with.revision', '12e4567'],
    ['steps.a.with.sample.n', '3'],
    ['steps.a.retry', '2'],
    ['vars.list.1', '[x]'],
    ['name', 'new'],
  ] as const;
  const experiment = experimentOf(text, { set, seed: '9' });
  const [instance] = experiment.instances;
  assert.deepEqual(instance?.params, {
    id: 'a',
    take: 7,
    revision: '12e4567',
    sample: { n: 3, seed: 0, method: 'mesa' },
    source: 'hub',
  });
  assert.equal(instance.retry, 2);
  assert.equal(experiment.seed, 9);
  assert.equal(experiment.name, 'new');
  assert.deepEqual(experiment.resolved['vars'], { list: [1, ['x']] });
  assert.deepEqual(experiment.origins['/seed'], '--seed');
  assert.deepEqual(experiment.origins['/steps/a/with/take'], '--set');
  assert.equal(experiment.origins['/steps/a/with/id'], undefined);
});

test('the resolved document says where each value came from, and is an experiment itself', () => {
  const text =
    'extends: base.yaml\nmatrix: { r: [1, 2] }\nsteps:\n  a: { with: { take: "${matrix.r}" } }\n  b: { with: { id: "$${x}-${vars.d}" } }\n';
  withRequest(text, { files: parent, set: [['vars.d', 'other']] }, (request) => {
    const result = resolveDocument(request);
    assert.ok(result.ok);
    const yaml = resolvedYaml(result.value);
    assert.match(yaml, /^seed: 3 # from base\.yaml:1$/mu);
    assert.match(yaml, /^ +take: \$\{matrix\.r\} # from experiment\.yaml:4$/mu);
    assert.match(yaml, /^ +n: 2 # from base\.yaml:6$/mu);
    assert.match(yaml, /^ +d: other # from --set$/mu);
    const again = experimentOf(yaml);
    assert.deepEqual(
      again.instances.map(({ name }) => name),
      ['a[r=1]', 'a[r=2]', 'b'],
    );
    assert.equal(again.instances[2]?.params['id'], '${x}-other');
  });
});

test('plugins are named once, by the module that a path or a package means', () => {
  const files = { 'mine.ts': '' };
  withRequest(
    'steps:\n  a: { uses: ./mine.ts }\n  b: { uses: ./mine.ts }\n  c: { uses: score }\n  d: { uses: nowhere }\n',
    { files },
    (request) => {
      const plugins = listPlugins(request);
      assert.deepEqual(
        plugins.map(({ uses, module }) => [uses, module.replace(dirname(request.file), '')]),
        [['./mine.ts', '/mine.ts']],
      );
    },
  );
  assert.deepEqual(codesOf('steps:\n  a: { uses: ./mine.ts }\n', { files }), ['E228']);
});

test('a plugin that cannot be used is said where it is named, with all else that is wrong', () => {
  withRequest(
    'steps:\n  a: { uses: ./mine.ts }\n  b: { uses: ./mine.ts }\n  c: { uses: nowhere }\n',
    { files: { 'mine.ts': '' } },
    (request) => {
      const [plugin] = listPlugins(request);
      assert.ok(plugin !== undefined);
      const result = analyzeExperiment({
        ...request,
        plugins: new Map([[plugin.module, err('it threw')]]),
      });
      assert.ok(!result.ok);
      assert.deepEqual(
        result.error.map(({ code, location }) => [code, location?.start.line]),
        [
          ['E228', 2],
          ['E228', 3],
          ['E207', 4],
        ],
      );
      assert.match(result.error[0]?.message ?? '', /it threw/u);
    },
  );
});
