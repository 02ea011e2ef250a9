// Runs generate: opens model, adapter and prompts, hands the rows to their mode, and writes what the journal holds in
// the order of the prompts.

import { StepError, type InputArtifact, type StepContext } from '../../engine/step.ts';
import type {
  FormatDocument,
  PredictionRow,
  PredictionsDocument,
  PromptRow,
  TrainingDocument,
} from '../../schemas/artifact.ts';
import type { ModelConfig } from '../../models/config.ts';
import type { Activations } from '../../models/digits.ts';
import { loadRunner } from '../../models/decode/load.ts';
import { estimateDecodingMemory } from '../../models/decode/memory.ts';
import { openModel, type ModelRecord } from '../../models/model.ts';
import { readAdapter, type AdapterFiles } from '../../models/peft-files.ts';
import { tablesGrow } from '../../models/rope.ts';
import { requireFits } from '../memory.ts';
import { foreseen } from '../model-errors.ts';
import { readDocument, readRows, writeDocument, writeRows } from '../rows.ts';
import { scoreChoices } from './choices.ts';
import { openJournal } from './journal.ts';
import { scoreTexts } from './perplexity.ts';
import { placeOf, weightModeOf } from './place.ts';
import { promptEncoder } from './prompts.ts';
import { headline } from './headline.ts';
import { describeDecoding, settingsOf, type Settings } from './settings.ts';
import { answerAll } from './text.ts';
import type { Work } from './work.ts';

export const run = async (context: StepContext): Promise<void> => {
  try {
    if (context.params['backend'] !== 'openai') await generate(context);
    else await (await import('./openai.ts')).generateByServer(context);
  } catch (error) {
    throw foreseen(error);
  }
};

const generate = async (context: StepContext): Promise<void> => {
  const settings = settingsOf(context);
  const prompts = context.input('prompts');
  const format = readDocument<FormatDocument>(prompts, 'format.json');
  const adapterInput = context.optionalInput('adapter');
  const adapter = adapterInput === null ? null : openAdapter(adapterInput, format, settings);
  const rows = await readRows<PromptRow>(prompts);
  const model = openModel(context.input('model'));
  const { config, document } = model;
  const place = await placeOf(settings, document.dtype);
  const tokenizer = await model.tokenizer();
  const maxLength = Math.min(settings.maxLength ?? Infinity, config.maxPositions);
  const stride = Math.min(settings.stride ?? Math.max(1, Math.floor(maxLength / 2)), maxLength);
  const activations = activationsOf(settings, document);
  const endTokens = tokenizer?.eosTokenIds ?? idsOf(document.config['eos_token_id']);
  const journal = openJournal(context.checkpoint.journal);
  if (journal.rows.size > 0) context.log(`${journal.rows.size} rows are done already`);
  const work: Work = {
    context,
    settings,
    rows,
    encoder: promptEncoder(tokenizer, format, config.vocabSize),
    endTokens,
    maxLength,
    journal,
    open: async (head, length) => {
      const mode = await weightModeOf(model, place);
      requireFits(
        estimateDecodingMemory(config, model.tensors(), { mode, adapter, length }),
        'generate with this model',
        'quantise it first (format: int8 or nf4), lower max_length, or use a server: backend: openai',
      );
      context.progress({
        unit: 'rows',
        done: journal.rows.size,
        total: rows.length,
        note: 'loading weights',
      });
      // Rotary scaling that depends on the length goes by what the model may see, never by what happens to be run.
      const grows = config.positions.kind !== 'rope' || tablesGrow(config.positions.rope);
      return loadRunner({
        config,
        weights: model.weights(mode, context.derived),
        adapter,
        head,
        activations,
        maxLength: grows ? Math.min(length, maxLength) : maxLength,
        longest: Math.min(length, maxLength),
        threads: threadsFor(config, context.threads),
        ...place,
      });
    },
  };
  try {
    await inMode(work, stride);
  } finally {
    journal.close();
  }
  const done = inOrder(journal.rows);
  const output = context.output('predictions');
  writeRows(output, done);
  const predictions: PredictionsDocument = {
    mode: settings.mode,
    model: context.input('model').digest,
    adapter: adapterInput?.digest ?? null,
    decoding: describeDecoding(settings, {
      maxLength,
      activations,
      compute: place.compute,
      stride,
      seed: context.seed,
      endTokens,
    }),
    batch_invariant: place.device === 'cpu',
    count: done.length,
  };
  writeDocument(output, 'predictions.json', predictions);
  context.report({ kind: 'headline', text: headline(settings.mode, done) });
};

/** auto: what the step quantize was told that its model is meant for. On a GPU products are exact. */
const activationsOf = (
  { activations, device }: Settings,
  { quantization }: ModelRecord,
): Activations => {
  if (activations !== 'auto') return activations;
  const asked = device === 'cpu' ? quantization?.['activations'] : 'float';
  return asked === 'int8' || asked === 'int16' ? asked : 'float';
};

/** Products this small are done before another thread has woken up; a row's bits don't depend on the number. */
const SMALL_PRODUCT = 2 ** 18;

const threadsFor = ({ hiddenSize, mlp }: ModelConfig, threads: number): number =>
  hiddenSize * mlp.size < SMALL_PRODUCT ? 1 : threads;

const inMode = async (work: Work, stride: number): Promise<void> => {
  switch (work.settings.mode) {
    case 'text':
      return answerAll(work);
    case 'choices':
      return scoreChoices(work);
    case 'perplexity':
      return scoreTexts(work, stride);
  }
};

const inOrder = (rows: ReadonlyMap<number, PredictionRow>): readonly PredictionRow[] =>
  [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);

/** An adapter taught in one template and asked in another gives answers that say nothing about it. */
const openAdapter = (
  input: InputArtifact,
  format: FormatDocument,
  settings: Settings,
): AdapterFiles => {
  if (input.names.includes('training.json') && !settings.allowTemplateMismatch) {
    const trained = readDocument<TrainingDocument>(input, 'training.json').format;
    if (trained !== null && trained !== format.digest) {
      throw new StepError(
        'E570',
        `the adapter was trained with prompts of another template (${trained.slice(0, 12)}) than these (${format.digest.slice(0, 12)})`,
        'format both with the same template, chat template and system text, or set allow_template_mismatch: true',
      );
    }
  }
  return readAdapter({
    config: input.file('adapter_config.json'),
    weights: input.file('adapter_model.safetensors'),
  });
};

const idsOf = (value: unknown): readonly number[] =>
  (Array.isArray(value) ? value : [value]).filter((id): id is number => Number.isInteger(id));
