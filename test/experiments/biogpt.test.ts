// experiments/biogpt.yaml as it stands, with the real command line: model and questions come from a hub on loopback. The
// model is small and random; tokenizer and questions are the real ones, and what follows from them alone is checked.

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openModel, type Model } from '../../models/model.ts';
import { adapterPaths, readAdapter } from '../../models/peft-files.ts';
import type {
  ComparisonDocument,
  PredictionRow,
  PromptRow,
  ScoredChoice,
  ScoresDocument,
  TrainingDocument,
} from '../../schemas/artifact.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { startHub } from '../hub/server.ts';
import { Results } from '../results.ts';
import { Rig } from '../rig.ts';
import { projectRoot, readSharedJson, sharedPath, skipUnlessShared } from '../shared.ts';
import { linearLayers, model, QUESTIONS, questions, TABLES } from './biogpt-hub.ts';

const FILE = 'experiments/biogpt.yaml';
const GOLDEN = 'goldens/biogpt-tokenizer.json';
const sizes = { rows: 20, train: 12, test: 8, epochs: 2 };
const settings = Object.entries(sizes).flatMap(([name, size]) => ['--set', `vars.${name}=${size}`]);

const rig = new Rig();
cpSync(join(projectRoot, FILE), rig.path(FILE));
after(() => rig.dispose());

const document = async <Document>(step: string, name: string): Promise<Document> => {
  using results = new Results(rig.root);
  return await results.document<Document>(step, name);
};
const rowsOf = async <Row>(step: string): Promise<readonly Row[]> => {
  using results = new Results(rig.root);
  return await results.rows<Row>(step);
};
/** Step -> how it ended. */
const ends = (): Record<string, string> =>
  Object.fromEntries(rig.record().steps.map(({ step, state }) => [step, state]));
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** As every step that computes with it opens it. */
const quantisedModel = async (): Promise<Model> => {
  const folder = rig.path('quantised');
  const { code, stderr } = await rig.run(['export', 'last/quantised', folder]);
  assert.equal(code, 0, stderr);
  return openModel({ names: readdirSync(folder), file: (name) => join(folder, name) });
};

test(
  'biogpt: loaded from the hub, quantised, tuned, asked and judged',
  { skip: skipUnlessShared(TABLES, QUESTIONS, GOLDEN) },
  async (context) => {
    const published = model();
    const hub = await startHub(context, [published, questions()]);
    const env = { HF_HOME: rig.path('hf'), HF_ENDPOINT: hub.endpoint, HF_TOKEN: '' };
    const run = async (
      args: readonly string[],
      more: Readonly<Record<string, string>> = {},
    ): Promise<void> => {
      const { code, stdout, stderr } = await rig.run(['run', FILE, ...settings, ...args], {
        ...env,
        ...more,
      });
      assert.equal(code, 0, stdout + stderr);
    };
    await run([]);
    assert.deepEqual(new Set(Object.values(ends())), new Set(['ran']));

    await context.test('of the hub’s files, those that were needed', () => {
      const asked = hub
        .asked(/^GET hub .*\/resolve\//u)
        .map(({ url }) => url.split('/resolve/')[1]);
      const [base, rows] = ['microsoft/BioGPT-Large', 'qiaojin/PubMedQA'].map((id) =>
        hub.commit(id),
      );
      assert.deepEqual(
        [...new Set(asked)].sort(),
        [
          ...['config.json', 'merges.txt', 'pytorch_model.bin', 'vocab.json'].map(
            (name) => `${base}/${name}`,
          ),
          ...['README.md', 'pqa_labeled/train-00000-of-00001.parquet'].map(
            (name) => `${rows}/${name}`,
          ),
        ].sort(),
      );
    });

    const quantised = await quantisedModel();
    const tokenizer = await quantised.tokenizer();
    assert.ok(tokenizer !== null);
    const trained = await rowsOf<PromptRow>('train-set');
    const asked = await rowsOf<PromptRow>('test-set');

    await context.test('the questions: disjoint, in shares, tokenised as by the reference', () => {
      const golden =
        readSharedJson<
          Readonly<Record<string, { readonly rows: readonly { text: string; ids: number[] }[] }>>
        >(GOLDEN)['BioGPT-Large'];
      for (const { text, ids } of golden?.rows ?? [])
        assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
      assert.equal(new Set([...trained, ...asked].map(({ id }) => id)).size, sizes.rows);
      // 55.2 % of twelve and of eight.
      const yes = [trained, asked].map((rows) => rows.filter(({ answer }) => answer === 'yes'));
      assert.deepEqual(
        yes.map((rows) => rows.length),
        [7, 4],
      );
    });

    await context.test('every linear layer in 4 bits, and an adapter for each', async () => {
      const { quantization } = quantised.document;
      assert.equal(quantization?.['format'], 'nf4');
      assert.equal(quantization?.['double_quant'], true);
      const tensors = quantization?.['tensors'] as readonly { readonly name: string }[];
      assert.deepEqual(
        tensors.map(({ name }) => name).sort(),
        linearLayers.map(({ name }) => `${name}.weight`).sort(),
      );
      const { code, stderr } = await rig.run(['export', 'last/adapter', 'adapter', '--as', 'peft']);
      assert.equal(code, 0, stderr);
      const paths = adapterPaths(rig.path('adapter'));
      const config = JSON.parse(readFileSync(paths.config, 'utf8')) as JsonObject;
      assert.equal(config['base_model_name_or_path'], 'microsoft/BioGPT-Large');
      const adapter = readAdapter(paths);
      assert.deepEqual(
        new Map([...adapter.tensors].map(([name, { shape }]) => [name, shape.join()])),
        new Map(
          linearLayers.flatMap((layer): [string, string][] => [
            [`base_model.model.${layer.name}.lora_A.weight`, `16,${layer.in}`],
            [`base_model.model.${layer.name}.lora_B.weight`, `${layer.out},16`],
          ]),
        ),
      );
      for (const [name, { data }] of adapter.tensors)
        assert.ok(
          data.some((value) => value !== 0),
          name,
        );
    });

    await context.test('trained on the answers and the end token, once an epoch', async () => {
      const training = await document<TrainingDocument>('adapter', 'training.json');
      assert.deepEqual(training.rows, { trained: sizes.train, dropped: [] });
      const lengths = trained.map(
        ({ prompt, completion }) =>
          tokenizer.encode(`${prompt ?? ''}${completion ?? ''}`).length + 1,
      );
      const log = training.log;
      assert.equal(sum(log.map(({ tokens }) => tokens)), sizes.epochs * sum(lengths));
      // yes, no and maybe are one token each.
      assert.equal(
        sum(log.map(({ label_tokens: labels }) => labels)),
        sizes.epochs * 2 * sizes.train,
      );
    });

    const choices = new Map<string, readonly PredictionRow[]>();
    for (const side of ['base', 'quantised', 'tuned'])
      choices.set(side, await rowsOf<PredictionRow>(`${side}-choices`));
    const likelihoods = (side: string): number[] =>
      (choices.get(side) ?? []).flatMap((row) =>
        (row.choices as readonly ScoredChoice[]).map(({ logprob }) => logprob),
      );

    await context.test('asked for likelihoods: three choices of one token each', () => {
      for (const [side, rows] of choices) {
        assert.deepEqual(
          rows.map(({ id }) => id),
          asked.map(({ id }) => id),
          side,
        );
        for (const row of rows)
          assert.deepEqual(
            (row.choices as readonly ScoredChoice[]).map(({ label, tokens }) => [label, tokens]),
            [
              ['yes', 1],
              ['no', 1],
              ['maybe', 1],
            ],
          );
      }
      // A random model holds all 57,717 tokens for nearly equally likely, and each side computed for itself.
      for (const logprob of likelihoods('base')) assert.ok(Math.abs(logprob + Math.log(57717)) < 1);
      const sides = ['base', 'quantised', 'tuned'].map(likelihoods);
      assert.notDeepEqual(sides[0], sides[1]);
      assert.notDeepEqual(sides[1], sides[2]);
      // What was taught became likelier.
      const commonest = ({ choices: scored = [] }: PredictionRow): number =>
        (scored[0] as ScoredChoice).logprob;
      const [before, after] = ['quantised', 'tuned'].map((side) =>
        sum((choices.get(side) ?? []).map(commonest)),
      );
      assert.ok(after! > before!, `${after} > ${before}`);
    });

    await context.test('asked for a text: at most four tokens, and what they say', async () => {
      for (const side of ['base', 'tuned'])
        for (const row of await rowsOf<PredictionRow>(`${side}-text`)) {
          const tokens = row.tokens as readonly number[];
          assert.ok(tokens.length >= 1 && tokens.length <= 4);
          assert.equal(row.text, tokenizer.decode(tokens, { skipSpecialTokens: true }));
        }
    });

    await context.test(
      'scores of all test questions, and a verdict on both candidates',
      async () => {
        for (const side of ['base', 'quantised', 'tuned']) {
          const { count, metrics } = await document<ScoresDocument>(
            `${side}-scores`,
            'scores.json',
          );
          assert.equal(count, sizes.test);
          assert.deepEqual(
            Object.entries(metrics).map(([name, { n }]) => [name, n]),
            ['accuracy', 'macro_f1', 'option_accuracy', 'unparsed_rate'].map((name) => [
              name,
              sizes.test,
            ]),
          );
          assert.equal(metrics['accuracy']?.baseline?.majority, 0.5);
          const right = (choices.get(side) ?? []).filter((row) => row.prediction === row.answer);
          assert.equal(metrics['accuracy']?.value, right.length / sizes.test);
        }
        const { comparisons } = await document<ComparisonDocument>('verdict', 'comparison.json');
        assert.deepEqual(
          comparisons.map(({ candidate, metric, n }) => [candidate, metric, n]),
          ['#1', '#2'].flatMap((candidate) =>
            ['accuracy', 'macro_f1', 'option_accuracy'].map((metric) => [
              candidate,
              metric,
              sizes.test,
            ]),
          ),
        );
      },
    );

    await context.test('again, without a network: everything comes from the cache', async () => {
      hub.seen.length = 0;
      await run(['--locked'], { HF_HUB_OFFLINE: '1' });
      assert.deepEqual(new Set(Object.values(ends())), new Set(['cached']));
      assert.deepEqual(hub.seen, []);
    });

    await context.test('the same model and questions in files of this machine', async () => {
      for (const [name, content] of Object.entries(published.branches['main'] ?? {}))
        rig.write(`local/${name}`, content);
      const local = [
        '--set',
        'vars.model={source: path, path: local}',
        '--set',
        `vars.data={source: file, path: "${sharedPath(QUESTIONS)}", id_column: key}`,
      ];
      await run([...local, '--until', 'quantised']);
      const { base, quantised: again } = ends();
      assert.deepEqual([base, again], ['ran', 'cached'], 'the same content made another way');
      await run([...local, '--until', 'test-set']);
      const text = ({ id, prompt, completion }: PromptRow): readonly unknown[] => [
        id.split('/').at(-1),
        prompt,
        completion,
      ];
      assert.deepEqual((await rowsOf<PromptRow>('test-set')).map(text), asked.map(text));
      assert.deepEqual(hub.seen, []);
    });
  },
);
