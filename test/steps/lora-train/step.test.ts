// The lora-train step on a tiny model: what it writes, that interruption and effect-free parameters leave no trace,
// and what it refuses.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StepError, type InputArtifact } from '../../../engine/step.ts';
import { openModel } from '../../../models/model.ts';
import { adapterPaths, readAdapter } from '../../../models/peft-files.ts';
import type { TrainingDocument } from '../../../schemas/artifact.ts';
import type { JsonObject } from '../../../schemas/json.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { loraTrain } from '../../../steps/lora-train/step.ts';
import { folderArtifact, prepareStep, runStep, type StepRun } from '../context.ts';
import { scratchFolder } from '../../scratch.ts';
import { tinyLlama } from '../tiny-llama.ts';

const tinyConfig = { ...tinyLlama, tie_word_embeddings: true, eos_token_id: 2 };
const base = await runStep(loadModel, { params: { source: 'init', config: tinyConfig } });
const model = base.output('model', 'model');

/** Rows whose completion is the prompt's tokens, each one higher. */
const prompts = (count: number, digest = 'd1', more: JsonObject[] = []): InputArtifact => {
  const folder = scratchFolder('test-prompts');
  const rows = Array.from({ length: count }, (_, i) => {
    const prompt = Array.from({ length: 3 + (i % 4) }, (_unused, j) => 3 + ((i * 7 + j * 5) % 50));
    return {
      id: `r${i}`,
      item: '0000000000000000',
      prompt_tokens: prompt,
      completion_tokens: prompt.slice(0, 3).map((token) => token + 1),
    };
  });
  const text = [...rows, ...more].map((row) => `${JSON.stringify(row)}\n`).join('');
  writeFileSync(join(folder, 'rows.jsonl'), text);
  const format = {
    template: 'test',
    digest,
    special_tokens_in_text: true,
    append_eos: true,
    chat: null,
    count: rows.length,
    dropped: [],
  };
  writeFileSync(join(folder, 'format.json'), JSON.stringify(format));
  return folderArtifact('prompts', folder);
};
const data = prompts(16);
const small = {
  r: 4,
  num_train_epochs: 2,
  max_length: 20,
  gradient_accumulation_steps: 2,
  learning_rate: 0.01,
  lora_dropout: 0.1,
};

const adapterOf = (run: StepRun): InputArtifact => run.output('adapter', 'adapter');
const trainingOf = (run: StepRun, name = 'adapter'): TrainingDocument =>
  JSON.parse(
    readFileSync(join(run.root, 'outputs', name, 'training.json'), 'utf8'),
  ) as TrainingDocument;

const whole = await runStep(loraTrain, { params: small, inputs: { model, data } });

test('writes a PEFT folder and the log of every optimiser step', () => {
  const artifact = adapterOf(whole);
  assert.deepEqual(artifact.names, [
    'adapter_config.json',
    'adapter_model.safetensors',
    'training.json',
  ]);
  const { config, tensors } = readAdapter(adapterPaths(join(whole.root, 'outputs/adapter')));
  assert.deepEqual(config.target_modules, [
    'down_proj',
    'gate_proj',
    'k_proj',
    'o_proj',
    'q_proj',
    'up_proj',
    'v_proj',
  ]);
  assert.equal(tensors.size, 2 * 7 * 2);
  const training = trainingOf(whole);
  assert.equal(training.base_model, model.digest);
  assert.equal(training.format, 'd1');
  assert.equal(
    training.log.length,
    whole.progress.filter(({ values }) => values !== undefined).length,
  );
  const [first, last] = [training.log[0], training.log.at(-1)];
  assert.ok(first && last && last.loss < first.loss, 'the loss falls');
  assert.deepEqual(
    training.log.map(({ step }) => step),
    training.log.map((_, index) => index + 1),
  );
  assert.equal(
    whole.measurements.get('trainable_parameters'),
    4 * 2 * (64 + 48 + 48 + 64 + 3 * 80),
  );
});

test('interrupted anywhere and resumed, every byte is the same', async () => {
  const steps = trainingOf(whole).log.length;
  for (let stopAt = 1; stopAt < steps; stopAt += 2) {
    const controller = new AbortController();
    const options = { params: small, inputs: { model, data } };
    const first = prepareStep(loraTrain, {
      ...options,
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done === stopAt) controller.abort(new Error('stopped'));
      },
    });
    await assert.rejects(loraTrain.run(first.context), /stopped/);
    const second = await runStep(loraTrain, { ...options, resume: first });
    assert.ok(second.logs.some((line) => line.includes(`after step ${stopAt}`)));
    assert.equal(adapterOf(second).digest, adapterOf(whole).digest);
    first.dispose();
    second.dispose();
  }
});

test('save_steps has no effect on bytes', async () => {
  const run = await runStep(loraTrain, {
    params: { ...small, save_steps: 1 },
    inputs: { model, data },
  });
  assert.equal(adapterOf(run).digest, adapterOf(whole).digest);
});

test('another seed gives another adapter', async () => {
  const run = await runStep(loraTrain, { params: small, inputs: { model, data }, seed: 7 });
  assert.notEqual(adapterOf(run).digest, adapterOf(whole).digest);
});

test('noise and checkpointing: interrupted and resumed to the same bytes too', async () => {
  const params = { ...small, neftune_noise_alpha: 5, gradient_checkpointing: true };
  const noisy = await runStep(loraTrain, { params, inputs: { model, data } });
  assert.notEqual(adapterOf(noisy).digest, adapterOf(whole).digest);
  const controller = new AbortController();
  const first = prepareStep(loraTrain, {
    params,
    inputs: { model, data },
    signal: controller.signal,
    onProgress: ({ done }) => {
      if (done === 2) controller.abort(new Error('stopped'));
    },
  });
  await assert.rejects(loraTrain.run(first.context), /stopped/);
  const second = await runStep(loraTrain, { params, inputs: { model, data }, resume: first });
  assert.equal(adapterOf(second).digest, adapterOf(noisy).digest);
});

test('validation, the best parameters and early stopping', async () => {
  const validation = prompts(5);
  const params = { ...small, learning_rate: 0.5, lr_scheduler_type: 'constant' };
  const run = await runStep(loraTrain, {
    params: {
      ...params,
      num_train_epochs: 20,
      eval_steps: 1,
      early_stopping_patience: 2,
      load_best_model_at_end: true,
    },
    inputs: { model, data, validation },
  });
  const { evaluations, stopped, kept_step: kept, log } = trainingOf(run);
  assert.equal(stopped, 'early-stopping');
  assert.equal(evaluations.length, log.length);
  assert.equal(kept, evaluations.reduce((a, b) => (b.loss < a.loss ? b : a)).step);
  assert.equal(kept, log.length - 2);
  // The kept parameters are those of a run that ends there.
  const short = await runStep(loraTrain, {
    params: { ...params, max_steps: kept },
    inputs: { model, data },
  });
  assert.equal(trainingOf(short).stopped, 'max-steps');
  assert.equal(
    adapterOf(short).sha256('adapter_model.safetensors'),
    adapterOf(run).sha256('adapter_model.safetensors'),
  );
});

test('an adapter is gone on with', async () => {
  const run = await runStep(loraTrain, {
    params: { ...small, r: 8 },
    inputs: { model, data, adapter: adapterOf(whole) },
  });
  const before = trainingOf(whole).log.at(-1)?.loss ?? NaN;
  const after = trainingOf(run).log[0]?.loss ?? NaN;
  assert.ok(Math.abs(after - before) < 0.3 * before, `${before} then ${after}`);
  const { config } = readAdapter(adapterPaths(join(run.root, 'outputs/adapter')));
  assert.equal(config.r, 4);
});

test('method: full writes a model that can be opened', async () => {
  const run = await runStep(loraTrain, {
    params: { method: 'full', num_train_epochs: 1, max_length: 20, learning_rate: 0.01 },
    inputs: { model, data },
  });
  const artifact = run.output('model', 'model');
  const trained = openModel(artifact);
  const derived = scratchFolder('test-derived');
  const name = 'model.layers.0.self_attn.q_proj.weight';
  const before = openModel(model).weights('float32', derived).read(name);
  const after = trained.weights('float32', derived).read(name);
  assert.equal(after.length, before.length);
  assert.notDeepEqual(after, before);
  const [file] = trained.document.checkpoint.files;
  assert.equal(file?.sha256, artifact.sha256('model.safetensors'));
  const { log } = trainingOf(run, 'model');
  assert.ok((log.at(-1)?.loss ?? NaN) < (log[0]?.loss ?? 0));
});

test('a loss that is no number stops the step', async () => {
  const params = { ...small, learning_rate: 1e30, max_grad_norm: 0 };
  const run = prepareStep(loraTrain, { params, inputs: { model, data } });
  await assert.rejects(loraTrain.run(run.context), (error: unknown) => {
    assert.ok(error instanceof StepError);
    assert.equal(error.code, 'E502');
    assert.match(error.message, /at step \d+ of \d+/);
    assert.match(error.hint ?? '', /learning_rate/);
    return true;
  });
});

test('rows that are too long are left out and counted; a row with nothing to learn is an error or counted', async () => {
  const long = {
    id: 'long',
    item: '0000000000000000',
    prompt_tokens: Array<number>(30).fill(5),
    completion_tokens: [6],
  };
  const run = await runStep(loraTrain, {
    params: small,
    inputs: { model, data: prompts(4, 'd1', [long]) },
  });
  assert.deepEqual(trainingOf(run).rows, {
    trained: 4,
    dropped: [{ reason: 'longer than 20 tokens', count: 1 }],
  });
  assert.deepEqual(run.warnings, ['1 rows are left out: longer than 20 tokens']);

  const bare = { id: 'bare', item: '0000000000000000', prompt_tokens: [5, 6] };
  const refused = prepareStep(loraTrain, {
    params: small,
    inputs: { model, data: prompts(1, 'd1', [bare]) },
  });
  await assert.rejects(loraTrain.run(refused.context), /row bare has no completion/);
});

test('validation rows of another template are refused', async () => {
  const run = prepareStep(loraTrain, {
    params: small,
    inputs: { model, data, validation: prompts(2, 'other') },
  });
  await assert.rejects(loraTrain.run(run.context), /different templates/);
});

test('modules that are not there are named, with those that are', async () => {
  const run = prepareStep(loraTrain, {
    params: { ...small, target_modules: ['q_proj', 'c_attn'] },
    inputs: { model, data },
  });
  await assert.rejects(
    loraTrain.run(run.context),
    /c_attn matches no linear layer; the model has q_proj/,
  );
});

test('parameters that have no meaning here are found before anything runs', () => {
  const pointers = (params: JsonObject): readonly string[] =>
    (loraTrain.check?.(params) ?? []).map(({ pointer }) => pointer);
  assert.deepEqual(pointers({}), []);
  assert.deepEqual(pointers({ device: 'webgpu' }), ['/device']);
  assert.deepEqual(pointers({ bf16: true }), ['/bf16']);
  assert.deepEqual(pointers({ method: 'full', target_modules: ['q_proj'] }), ['/target_modules']);
  assert.deepEqual(
    pointers({ method: 'full', target_modules: 'all-linear', rank_pattern: {} }),
    [],
  );
});
