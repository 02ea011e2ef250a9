// load-adapter on adapters that PEFT wrote: what it makes of them, what generate computes with them, what it refuses.

import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { StepError, type InputArtifact } from '../../../engine/step.ts';
import {
  adapterPaths,
  readFloatTensors,
  writeFloatTensors,
  type NamedTensor,
} from '../../../models/peft-files.ts';
import type { PredictionRow } from '../../../schemas/artifact.ts';
import { generate } from '../../../steps/generate/step.ts';
import { loadAdapter } from '../../../steps/load-adapter/step.ts';
import { loadModel } from '../../../steps/load-model/step.ts';
import { readJson } from '../../models/golden-model.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { rowsOf } from '../artifacts.ts';
import { folderArtifact, runStep, type StepRun } from '../context.ts';
import { scratchFolder } from '../../scratch.ts';

const root = 'goldens/lora';
const skip = skipUnlessShared(root);
const scratch = scratchFolder('load-adapter');
const runs: StepRun[] = [];
after(() => {
  for (const run of runs) run.dispose();
  rmSync(scratch, { recursive: true, force: true });
});

const load = async (path: string): Promise<StepRun> => {
  const run = await runStep(loadAdapter, { params: { source: 'path', path } });
  runs.push(run);
  return run;
};
const refused = async (path: string, message: RegExp): Promise<void> => {
  await assert.rejects(
    load(path),
    (error) => error instanceof StepError && message.test(error.message),
  );
};

let copies = 0;
/** A copy of a golden adapter, changed. */
const changed = (
  name: string,
  change: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly tensors?: (tensors: Map<string, NamedTensor>) => void;
  },
): string => {
  copies += 1;
  const folder = join(scratch, `adapter-${copies}`);
  cpSync(sharedPath(`${root}/${name}/adapter`), folder, { recursive: true });
  const paths = adapterPaths(folder);
  const config = readJson<Record<string, unknown>>(paths.config);
  rmSync(paths.config);
  writeFileSync(paths.config, JSON.stringify({ ...config, ...change.config }));
  const tensors = new Map(readFloatTensors(paths.weights));
  change.tensors?.(tensors);
  rmSync(paths.weights);
  writeFloatTensors(paths.weights, tensors.values());
  return folder;
};

interface Case {
  readonly base: string;
  readonly sequences: readonly (readonly number[])[];
}

const names = skip === false ? readdirSync(sharedPath(root)) : [];
const adapters = names.filter((name) => existsSync(sharedPath(`${root}/${name}/adapter`)));

describe('load-adapter', { skip }, () => {
  const models = new Map<string, InputArtifact>();
  const modelAt = async (path: string): Promise<InputArtifact> => {
    const known = models.get(path);
    if (known !== undefined) return known;
    const run = await runStep(loadModel, { params: { source: 'path', path } });
    runs.push(run);
    const model = run.output('model', 'model');
    models.set(path, model);
    return model;
  };

  for (const name of adapters) {
    test(`${name}: generate computes PEFT's log-probabilities`, async () => {
      const folder = sharedPath(`${root}/${name}`);
      const run = await load(join(folder, 'adapter'));
      const adapter = run.output('adapter', 'adapter');
      assert.deepEqual(adapter.names, ['adapter_config.json', 'adapter_model.safetensors']);
      for (const file of adapter.names)
        assert.deepEqual(
          readFileSync(adapter.file(file)),
          readFileSync(join(folder, 'adapter', file)),
        );

      const { base, sequences } = readJson<Case>(join(folder, 'case.json'));
      const prompts = join(scratch, `prompts-${name}`);
      mkdirSync(prompts);
      writeFileSync(
        join(prompts, 'rows.jsonl'),
        sequences
          .map(
            (tokens, id) =>
              `${JSON.stringify({ id: String(id), item: '', prompt_tokens: tokens })}\n`,
          )
          .join(''),
      );
      writeFileSync(
        join(prompts, 'format.json'),
        JSON.stringify({ digest: 'f', special_tokens_in_text: true }),
      );
      const scored = await runStep(generate, {
        params: { mode: 'perplexity' },
        inputs: {
          model: await modelAt(join(folder, base)),
          prompts: folderArtifact('prompts', prompts),
          adapter,
        },
      });
      runs.push(scored);
      const logits = readFloatTensors(join(folder, 'logits.safetensors'));
      for (const [index, row] of rowsOf<PredictionRow>(
        scored.output('predictions', 'predictions'),
      ).entries()) {
        const reference = logits.get(`seq.${index}`);
        assert.ok(reference);
        const expected = logLikelihood(reference, sequences[index] ?? []);
        assert.ok(
          Math.abs((row.logprob ?? NaN) - expected) < 1e-4 * Math.abs(expected),
          `row ${index}: ${row.logprob}, PEFT ${expected}`,
        );
      }
    });
  }

  test('what tensors and configuration do not agree on is named', async () => {
    const q = 'base_model.model.model.layers.0.self_attn.q_proj';
    const drop = (name: string) => (tensors: Map<string, NamedTensor>) => void tensors.delete(name);
    const add = (name: string) => (tensors: Map<string, NamedTensor>) =>
      void tensors.set(name, { name, shape: [2], data: new Float32Array(2) });
    const cases: readonly [Parameters<typeof changed>[1], RegExp][] = [
      [{ tensors: drop(`${q}.lora_B.weight`) }, /lacks .*layers\.0\.self_attn\.q_proj\.lora_B/],
      [{ config: { r: 8 } }, /lora_A\.weight is \[4, \d+\].*rank 8/],
      [{ config: { target_modules: ['q_proj'] } }, /v_proj, which target_modules/],
      [{ config: { target_modules: ['q_proj', 'v_proj', 'fc1'] } }, /names fc1/],
      [{ config: { layers_to_transform: [1] } }, /layers\.0\.self_attn/],
      [{ config: { use_dora: true } }, /lacks .*lora_magnitude_vector/],
      [{ tensors: add(`${q}.lora_magnitude_vector`) }, /use_dora off/],
      [{ tensors: add('base_model.model.lm_head.weight') }, /lm_head.*modules_to_save/],
      [{ config: { modules_to_save: ['lm_head'] } }, /modules_to_save: lm_head/],
      [{ tensors: add(`${q}.base_layer.bias`) }, /base_layer\.bias, which is no part/],
      [
        { tensors: add('base_model.model.model.embed_tokens.lora_embedding_A') },
        /embedding layers/,
      ],
      [{ config: { bias: 'all' } }, /bias: "all"/],
      [{ config: { layer_replication: [[0, 2]] } }, /layer_replication/],
      [{ config: { lora_bias: true } }, /lora_bias/],
      [{ config: { peft_type: 'IA3' } }, /peft_type "IA3"/],
    ];
    for (const [change, message] of cases)
      await refused(changed('llama-attention', change), message);
  });

  test('folders that are no adapter', async () => {
    await refused(join(scratch, 'nowhere'), /nowhere.*does not exist/);
    const empty = join(scratch, 'empty');
    mkdirSync(empty);
    await refused(empty, /has no adapter_config\.json/);
    await assert.rejects(load(sharedPath(`${root}/models/llama`)), {
      hint: 'this is a model: use load-model',
    });
    const config = changed('llama-attention', {});
    rmSync(adapterPaths(config).weights);
    await refused(config, /neither adapter_model\.safetensors nor adapter_model\.bin/);
  });

  test('an adapter for another model is refused by generate, naming a tensor', async () => {
    const adapter = await load(sharedPath(`${root}/gpt2-attention/adapter`));
    const wide = changed('llama-attention', {
      tensors: (tensors) => {
        for (const [name, { shape }] of tensors) {
          if (!name.endsWith('lora_A.weight')) continue;
          const wider = [shape[0] ?? 0, (shape[1] ?? 0) + 2];
          const data = new Float32Array((wider[0] ?? 0) * (wider[1] ?? 0));
          tensors.set(name, { name, shape: wider, data });
        }
      },
    });
    const prompts = join(scratch, 'prompts');
    mkdirSync(prompts);
    writeFileSync(join(prompts, 'rows.jsonl'), '{"id":"0","item":"","prompt_tokens":[5,6,7]}\n');
    writeFileSync(join(prompts, 'format.json'), '{"digest":"f","special_tokens_in_text":true}');
    const ask = async (input: InputArtifact): Promise<StepRun> =>
      runStep(generate, {
        params: { mode: 'perplexity' },
        inputs: {
          model: await modelAt(sharedPath(`${root}/models/llama`)),
          prompts: folderArtifact('prompts', prompts),
          adapter: input,
        },
      });
    await assert.rejects(ask(adapter.output('adapter', 'adapter')), (error: unknown) => {
      assert.ok(error instanceof StepError);
      assert.match(error.message, /c_attn/);
      return true;
    });
    const other = (await load(wide)).output('adapter', 'adapter');
    await assert.rejects(ask(other), (error: unknown) => {
      assert.ok(error instanceof StepError);
      assert.match(error.message, /q_proj\.lora_A\.weight is \[4, \d+\], the model needs/);
      return true;
    });
  });

  test('what stacked tensors and target_parameters do not agree on is named', async () => {
    const experts = 'base_model.model.model.layers.0.mlp.experts';
    const parameters = ['down_proj', 'gate.weight', 'gate_up_proj'];
    const drop = (name: string) => (tensors: Map<string, NamedTensor>) => void tensors.delete(name);
    const cases: readonly [Parameters<typeof changed>[1], RegExp][] = [
      [
        { tensors: drop(`${experts}.base_layer.lora_B.weight`) },
        /lacks .*experts\.base_layer\.lora_B\.weight/,
      ],
      [{ tensors: drop(`${experts}.lora_A.weight`) }, /lacks .*experts\.lora_A\.weight/],
      [
        { config: { target_parameters: ['down_proj', 'gate.weight'] } },
        /tensors of .*experts\.base_layer, which target_modules/,
      ],
      [{ config: { target_parameters: [] } }, /tensors of .*mlp\.(gate|experts)/],
      [{ config: { target_parameters: [...parameters, 'up_proj'] } }, /names up_proj/],
      [{ config: { target_parameters: 'down_proj' } }, /expected a list of names/],
      [{ config: { r: 3 } }, /is \[4, 48\].*rank 3/],
      [{ config: { rank_pattern: { '.*down_proj': 5 } } }, /is \[\d+, 48\].*gate_up_proj|rank 5/],
      [{ config: { lora_dropout: 0.1 } }, /target_parameters does not work with lora_dropout/],
      [
        {
          tensors: (tensors) => {
            const name = `${experts}.lora_B.weight`;
            const { shape, data } = tensors.get(name) ?? { shape: [], data: new Float32Array() };
            const [rows = 0] = shape;
            tensors.set(name, { name, shape: [rows, 12], data: data.slice(0, rows * 12) });
          },
        },
        /different numbers of experts/,
      ],
    ];
    for (const [change, message] of cases)
      await refused(changed('mixtral-all-linear', change), message);
  });

  test('training.json of an adapter that MESA made is kept', async () => {
    const folder = changed('llama-attention', {});
    writeFileSync(join(folder, 'training.json'), '{"base_model":"b","format":"f","log":[]}\n');
    const adapter = (await load(folder)).output('adapter', 'adapter');
    assert.deepEqual(adapter.names, [
      'adapter_config.json',
      'adapter_model.safetensors',
      'training.json',
    ]);
  });
});

/** Sum of log softmax(logits[t])[tokens[t + 1]]. */
const logLikelihood = ({ shape, data }: NamedTensor, tokens: readonly number[]): number => {
  const vocab = shape.at(-1) ?? 0;
  let sum = 0;
  for (let at = 0; at + 1 < tokens.length; at++) {
    const row = data.subarray(at * vocab, (at + 1) * vocab);
    const top = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((a, b) => a + Math.exp(b - top), 0);
    sum += (row[tokens[at + 1] ?? 0] ?? NaN) - top - Math.log(total);
  }
  return sum;
};
