// Which files of a dataset's repository are which split: as cards of real datasets say it, and by names.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { StepError } from '../../engine/step.ts';
import { layoutOfCard, layoutOfNames, type Layout } from '../../steps/load-dataset/hub-layout.ts';
import { hubRequests, selectDatasetFiles } from '../../steps/load-dataset/hub-request.ts';
import { selectAdapterFiles } from '../../steps/load-adapter/hub-request.ts';
import { selectModelFiles } from '../../steps/load-model/hub-request.ts';

const plain = ({ configs, standard }: Layout): unknown => ({
  standard,
  configs: Object.fromEntries(
    [...configs].map(([name, splits]) => [name, Object.fromEntries(splits)]),
  ),
});
const card = (paths: readonly string[], yaml: string): unknown => {
  const layout = layoutOfCard(paths, parse(yaml));
  return layout === null ? null : plain(layout);
};

test('a card: configurations with a list of splits and globs', () => {
  // openlifescienceai/medmcqa, and cais/mmlu in short.
  assert.deepEqual(
    card(
      [
        'README.md',
        'data/test-00000-of-00001.parquet',
        'data/train-00001-of-00002.parquet',
        'data/train-00000-of-00002.parquet',
      ],
      `configs:
- config_name: default
  data_files:
  - {split: train, path: data/train-*}
  - {split: test, path: data/test-*}`,
    ),
    {
      standard: 'default',
      configs: {
        default: {
          train: ['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet'],
          test: ['data/test-00000-of-00001.parquet'],
        },
      },
    },
  );
  assert.deepEqual(
    card(
      ['anatomy/test-00000-of-00001.parquet', 'virology/test-00000-of-00001.parquet'],
      `configs:
- {config_name: anatomy, data_files: [{split: test, path: anatomy/test-*}]}
- {config_name: virology, data_files: [{split: test, path: virology/test-*}], default: true}`,
    ),
    {
      standard: 'virology',
      configs: {
        anatomy: { test: ['anatomy/test-00000-of-00001.parquet'] },
        virology: { test: ['virology/test-00000-of-00001.parquet'] },
      },
    },
  );
});

test('a card: one pattern, several, a map, a folder', () => {
  const paths = ['a.csv', 'b.csv', 'sub/c.csv', 'data/train.jsonl', 'data/dev.jsonl'];
  const files = (dataFiles: string): unknown => {
    const layout = layoutOfCard(paths, parse(`configs: [{config_name: x, ${dataFiles}}]`));
    return Object.fromEntries(layout?.configs.get('x') ?? []);
  };
  assert.deepEqual(files('data_files: "*.csv"'), { train: ['a.csv', 'b.csv'] });
  assert.deepEqual(files('data_files: "**/*.csv"'), { train: ['a.csv', 'b.csv', 'sub/c.csv'] });
  assert.deepEqual(files('data_files: [b.csv, a.csv]'), { train: ['b.csv', 'a.csv'] });
  assert.deepEqual(files('data_files: {test: ./a.csv, dev: [b.csv]}'), {
    test: ['a.csv'],
    dev: ['b.csv'],
  });
  assert.deepEqual(files('data_dir: data'), {
    validation: ['data/dev.jsonl'],
    train: ['data/train.jsonl'],
  });
});

test('a card that says nothing of files', () => {
  assert.equal(card(['a.csv'], 'license: mit'), null);
  assert.equal(card(['a.csv'], 'configs: []'), null);
  assert.equal(layoutOfCard(['a.csv'], null), null);
  assert.equal(card(['a.csv'], 'configs: nonsense'), null);
});

test('names: shards, keywords in files and folders, one format, nothing', () => {
  const splits = (...paths: string[]): unknown =>
    Object.fromEntries(layoutOfNames(paths).configs.get('default') ?? []);
  assert.deepEqual(splits('data/heldout-00000-of-00001-abc123.parquet'), {
    heldout: ['data/heldout-00000-of-00001-abc123.parquet'],
  });
  assert.deepEqual(splits('my_train_file.csv', 'VAL.csv', 'evaluation/x.csv', 'trainer.csv'), {
    validation: ['VAL.csv'],
    test: ['evaluation/x.csv'],
    train: ['my_train_file.csv'],
  });
  assert.deepEqual(splits('questions.jsonl', 'README.md', '.hidden/x.jsonl'), {
    train: ['questions.jsonl'],
  });
  assert.deepEqual(splits('train.csv', 'train.parquet', 'dataset_infos.json'), {
    train: ['train.parquet'],
  });
  assert.equal(layoutOfNames(['README.md']).configs.size, 0);
});

test('names: the folders of converted datasets, and of configurations', () => {
  assert.deepEqual(
    plain(
      layoutOfNames([
        'pqa_l/train/0000.parquet',
        'pqa_u/train/0001.parquet',
        'pqa_u/train/0000.parquet',
      ]),
    ),
    {
      standard: null,
      configs: {
        pqa_l: { train: ['pqa_l/train/0000.parquet'] },
        pqa_u: { train: ['pqa_u/train/0000.parquet', 'pqa_u/train/0001.parquet'] },
      },
    },
  );
  const folders = layoutOfNames(['en/train.csv', 'en/test.csv', 'de/test.csv']);
  assert.deepEqual(folders.configs.get('de')?.get('test'), ['de/test.csv']);
});

const repository = (files: Readonly<Record<string, string>>) => ({
  paths: Object.keys(files),
  read: async (path: string) => files[path] ?? '',
});
const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof StepError, String(error));
    return `${error.message}; ${error.hint ?? ''}`;
  }
  throw new assert.AssertionError({ message: 'did not fail' });
};

test('a dataset made by a script is taken from its converted files', async () => {
  const script = repository({ 'README.md': '# x', 'medqa.py': 'code', 'data.zip': '' });
  assert.deepEqual(await selectDatasetFiles('org/medqa', script, undefined, 'test'), {
    instead: 'refs/convert/parquet',
  });
});

test('what can be chosen is named', async () => {
  const two = repository({ 'train.csv': '', 'test.csv': '' });
  const ask = (config?: string, split?: string): Promise<unknown> =>
    selectDatasetFiles('org/x', two, config, split);
  assert.deepEqual(await ask(undefined, 'test'), ['test.csv']);
  assert.match(await refusal(ask()), /several splits; say split: test, train/u);
  assert.match(await refusal(ask(undefined, 'dev')), /no split dev; it has test, train/u);
  assert.match(await refusal(ask('de')), /no configuration de; it has default/u);
  const none = repository({ 'README.md': '---\n: : [\n---\n' });
  assert.match(
    await refusal(selectDatasetFiles('org/x', none, undefined, undefined)),
    /no data files/u,
  );
});

test('requests of a mixture, in its order', () => {
  const requests = hubRequests({
    mix: [
      { source: 'hub', id: 'a/b', config: 'c', split: 'train' },
      { source: 'file', path: 'x.csv' },
      { source: 'hub', id: 'd/e', revision: 'v2' },
    ],
  });
  assert.deepEqual(
    requests.map(({ type, id, revision, part }) => [type, id, revision, part]),
    [
      ['dataset', 'a/b', 'main', 'c/train'],
      ['dataset', 'd/e', 'v2', ''],
    ],
  );
});

test('a model: one format of weights and of the tokenizer', async () => {
  const names = {
    'config.json': '{}',
    'generation_config.json': '{}',
    'model.safetensors': '',
    'pytorch_model.bin': '',
    'tf_model.h5': '',
    'onnx/model.onnx': '',
    'tokenizer.json': '',
    'tokenizer.model': '',
    'vocab.json': '',
    'chat_template.jinja': '',
    'README.md': '',
  };
  const select = (files: Record<string, string>, file?: string): Promise<unknown> =>
    selectModelFiles('org/m', repository(files), file);
  assert.deepEqual(await select(names), [
    'config.json',
    'generation_config.json',
    'chat_template.jinja',
    'tokenizer.json',
    'model.safetensors',
  ]);
  const index = JSON.stringify({
    weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors', c: 'm-1.safetensors' },
  });
  const shards = {
    'config.json': '',
    'model.safetensors.index.json': index,
    'm-1.safetensors': '',
    'm-2.safetensors': '',
    'm-3.safetensors': '',
    'vocab.json': '',
    'merges.txt': '',
  };
  assert.deepEqual(await select(shards), [
    'config.json',
    'vocab.json',
    'merges.txt',
    'model.safetensors.index.json',
    'm-1.safetensors',
    'm-2.safetensors',
  ]);
  const { 'm-2.safetensors': _, ...lacking } = shards;
  assert.match(await refusal(select(lacking)), /names "m-2\.safetensors"/u);
  assert.match(
    await refusal(select({ ...shards, 'model.safetensors.index.json': 'no' })),
    /no index of weights/u,
  );
  assert.deepEqual(await select({ 'config.json': '', 'pytorch_model.bin': '' }), [
    'config.json',
    'pytorch_model.bin',
  ]);
  assert.deepEqual(
    await select({ 'config.json': '', 'tokenizer.model': '', 'model.safetensors': '' }),
    ['config.json', 'tokenizer.model', 'model.safetensors'],
  );
  const ggufs = { 'a-Q4_0.gguf': '', 'a-Q8_0.gguf': '' };
  assert.match(await refusal(select(ggufs)), /2 GGUF files: a-Q4_0\.gguf, a-Q8_0\.gguf; name one/u);
  assert.deepEqual(await select(ggufs, 'a-Q8_0.gguf'), ['a-Q8_0.gguf']);
  assert.match(await refusal(select(ggufs, 'b.gguf')), /no file b\.gguf; it has a-Q4_0/u);
  assert.match(
    await refusal(select({ 'adapter_config.json': '', 'adapter_model.safetensors': '' })),
    /no weights.*adapter/u,
  );
});

test('an adapter: its config, one file of weights, and how it was trained', async () => {
  const files = {
    'adapter_config.json': '{}',
    'adapter_model.bin': '',
    'adapter_model.safetensors': '',
    'tokenizer.json': '',
  };
  const select = (more: Record<string, string>): readonly string[] =>
    selectAdapterFiles('org/a', repository(more));
  assert.deepEqual(select(files), ['adapter_config.json', 'adapter_model.safetensors']);
  assert.deepEqual(
    select({ 'adapter_config.json': '', 'adapter_model.bin': '', 'training.json': '' }),
    ['adapter_config.json', 'adapter_model.bin', 'training.json'],
  );
  assert.throws(() => select({ 'config.json': '' }), /no adapter: no adapter_config\.json/u);
  assert.throws(() => select({ 'adapter_config.json': '' }), /no adapter_model\.safetensors/u);
});
