// One small experiment on any model folder: as it is and in every format its shapes permit, with an adapter and without,
// asked in all three modes, scored and compared. The questions are made from the folder's own reference sequences, so
// that likelihoods can be held against the reference's logits.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { locateTokenizer } from '../../models/checkpoint/locate.ts';
import type { JsonObject } from '../../schemas/json.ts';
import { goldenTensors } from '../models/files.ts';

const MODES = ['text', 'choices', 'perplexity'] as const;
export const FORMATS = ['nf4', 'int8', 'q8_0'] as const;
type Mode = (typeof MODES)[number];
export const METRICS: Readonly<Record<Mode, readonly string[]>> = {
  text: ['exact_match'],
  choices: ['accuracy'],
  perplexity: ['loss', 'perplexity'],
};
/** Tokens of a prompt. */
const PROMPT = 5;
const ANSWERS = 3;

export interface Family {
  readonly name: string;
  readonly folder: string;
  /** Folders inside that hold the same weights in other files. */
  readonly variants: readonly string[];
  readonly formats: readonly (typeof FORMATS)[number][];
  readonly rows: readonly JsonObject[];
  /** Log-probability of each row's completion by the reference; null where it can't be told. */
  readonly expected: readonly (number | null)[];
  readonly hasTokenizer: boolean;
}

const readJson = (path: string): JsonObject => JSON.parse(readFileSync(path, 'utf8')) as JsonObject;

/** Ids without the special ones, which come first. */
const arithmetic = (vocabSize: number): number[][] =>
  Array.from({ length: ANSWERS }, (_, row) =>
    Array.from({ length: 9 }, (_unused, at) => 3 + ((row * 31 + at * 17) % (vocabSize - 3))),
  );

const logSoftmaxAt = (logits: Float32Array, token: number): number => {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
  return (logits[token] ?? NaN) - top - Math.log(total);
};

const TEXTS = [
  ['Captopril is an ACE', ' inhibitor.'],
  ['Aspirin is a drug against', ' pain.'],
  ['A milligram is smaller than a', ' gram.'],
] as const;

const textRows = (): JsonObject[] =>
  TEXTS.map(([prompt, completion], index) => ({
    prompt,
    completion,
    choices: TEXTS.map(([, text]) => text),
    answer: completion,
    id: `row${index}`,
  }));

export const familyOf = (name: string, folder: string): Family => {
  const config = readJson(join(folder, 'config.json'));
  const number = (...keys: readonly string[]): number =>
    Number(keys.map((key) => config[key]).find((value) => typeof value === 'number'));
  const vocabSize = number('vocab_size');
  const hidden = number('hidden_size', 'n_embd');
  const inner = number('intermediate_size', 'n_inner') || 4 * hidden;
  const hasTokenizer = locateTokenizer(folder).kind !== 'none';
  const inputs = join(folder, 'inputs.json');
  const logits = join(folder, 'logits.safetensors');
  const sequences = existsSync(inputs)
    ? (readJson(inputs)['sequences'] as readonly number[][])
    : arithmetic(vocabSize);
  const golden = existsSync(logits) && !hasTokenizer ? goldenTensors(logits) : null;
  // Answers of three, two and one tokens.
  const answers = sequences.map((ids, row) => ids.slice(PROMPT, PROMPT + ANSWERS - row));
  const expected = sequences.map((ids, row) => {
    // A rotary scaling may depend on the whole length, and the model asked here sees no longer text.
    if (golden === null || ids.length > number('max_position_embeddings', 'n_positions'))
      return null;
    const values = golden.values(`seq.${row}`);
    return (answers[row] ?? []).reduce((sum, token, at) => {
      const from = (PROMPT + at - 1) * vocabSize;
      return sum + logSoftmaxAt(values.subarray(from, from + vocabSize), token);
    }, 0);
  });
  return {
    name,
    folder,
    variants: readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name))
      .filter((path) => existsSync(join(path, 'config.json'))),
    formats: FORMATS.filter(
      (format) => format !== 'q8_0' || [hidden, inner].some((columns) => columns % 32 === 0),
    ),
    rows: hasTokenizer
      ? textRows()
      : sequences.map((ids, row) => ({
          id: `row${row}`,
          prompt: ids.slice(0, PROMPT),
          completion: answers[row] ?? [],
          choices: answers,
          answer: String.fromCharCode(65 + row),
        })),
    expected: hasTokenizer ? TEXTS.map(() => null) : expected,
    hasTokenizer,
  };
};

/** Two steps at once: the models are tiny. */
const small = { resources: { cpu: 1 } };

const asked = (model: string, mode: Mode, adapter: string | null): JsonObject => ({
  uses: 'generate',
  inputs: { model, prompts: 'prompts', ...(adapter === null ? {} : { adapter }) },
  with: { mode, ...(mode === 'text' ? { max_new_tokens: 3 } : {}) },
  ...small,
});

const tuned = (model: string): JsonObject => ({
  uses: 'lora-train',
  inputs: { model, data: 'prompts' },
  with: { r: 2, max_steps: 4, learning_rate: 0.01 },
  ...small,
});

interface Side {
  readonly name: string;
  readonly model: string;
  readonly adapter: string | null;
  readonly modes: readonly Mode[];
}

/** The quantised ones are one for each format; each mode runs on them, with an adapter or without. */
export const SIDES: readonly Side[] = [
  { name: 'base', model: 'model', adapter: null, modes: MODES },
  { name: 'tuned', model: 'model', adapter: 'adapter', modes: MODES },
  { name: 'quantised', model: 'packed', adapter: null, modes: ['perplexity'] },
  {
    name: 'quantised-tuned',
    model: 'packed',
    adapter: 'packed-adapter',
    modes: ['text', 'choices'],
  },
];

/** JSON is YAML. */
export const experimentOf = (family: Family, tokenPrompts: string): string => {
  const load = (path: string, dtype = 'auto'): JsonObject => ({
    uses: 'load-model',
    with: { source: 'path', path, dtype },
  });
  const packed = (model: string): JsonObject => ({
    uses: 'quantize',
    inputs: { model },
    with: { format: '${matrix.format}' },
  });
  const steps: Record<string, JsonObject> = {
    model: load(family.folder),
    rows: { uses: 'load-dataset', with: { source: 'inline', rows: [...family.rows] } },
    prompts: family.hasTokenizer
      ? {
          uses: 'format',
          inputs: { rows: 'rows' },
          with: {
            template: {
              prompt: '{{ prompt }}',
              completion: '{{ completion }}',
              choices: '{{ choices | tojson }}',
              answer: '{{ answer }}',
            },
          },
        }
      : { uses: tokenPrompts, inputs: { rows: 'rows' } },
    packed: packed('model'),
    // The same values as plain floats: what the packed products must come to.
    'plain-model': load(family.folder, 'float32'),
    unpacked: packed('plain-model'),
    'unpacked-perplexity': asked('unpacked', 'perplexity', null),
    adapter: tuned('model'),
    'packed-adapter': tuned('packed'),
  };
  for (const { name, model, adapter, modes } of SIDES) {
    for (const mode of modes) steps[`${name}-${mode}`] = asked(model, mode, adapter);
    steps[`${name}-scores`] = {
      uses: 'score',
      inputs: { predictions: modes.map((mode) => `${name}-${mode}`) },
      with: { metrics: modes.flatMap((mode) => METRICS[mode]) },
    };
  }
  for (const [index, folder] of family.variants.entries()) {
    steps[`variant${index}`] = load(folder);
    steps[`variant${index}-perplexity`] = asked(`variant${index}`, 'perplexity', null);
  }
  const candidate = ['tuned-scores', 'quantised-scores[*]', 'quantised-tuned-scores[*]'];
  steps['verdict'] = {
    uses: 'compare-baseline',
    inputs: { baseline: 'base-scores', candidate },
  };
  const matrix = { format: [...family.formats] };
  return JSON.stringify({ name: 'families', matrix, steps });
};
