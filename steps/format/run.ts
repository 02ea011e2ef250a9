// format: dataset rows -> drafts (datasets/prompts) -> prompts with few-shot examples or chat template, within max_length.

import { createHash } from 'node:crypto';
import { StepError, type StepContext } from '../../engine/step.ts';
import { requireColumns } from '../../datasets/columns.ts';
import { DataError } from '../../datasets/error.ts';
import {
  assembleChat,
  assembleText,
  chatFrame,
  type Assembled,
} from '../../datasets/prompts/assemble.ts';
import { customTemplate } from '../../datasets/prompts/custom.ts';
import { asText, isUnusable, type Draft, type Unusable } from '../../datasets/prompts/draft.ts';
import { exampleOrder, examplesFor } from '../../datasets/prompts/fewshot.ts';
import { fit } from '../../datasets/prompts/fit.ts';
import { withCanonicalNames } from '../../datasets/prompts/layouts.ts';
import { TEMPLATES } from '../../datasets/prompts/templates.ts';
import { canonicalText, columnOf, columnsOf, type SourceRow } from '../../datasets/row.ts';
import type { DatasetRow, FormatDocument, PromptRow } from '../../schemas/artifact.ts';
import type { Json } from '../../schemas/json.ts';
import { readRows, writeDocument, writeRows } from '../rows.ts';
import { formatParams, type FormatParams } from './parameters.ts';
import { chatOf, tokenizerOf } from './tokenizer.ts';

type MakeDraft = (row: DatasetRow) => Draft | Unusable;

const draftMaker = (rows: readonly DatasetRow[], params: FormatParams): MakeDraft => {
  const { template, columns, group, answerBase: base, description, answerOnly } = params;
  requireColumns(rows, Object.values(columns), 'columns');
  requireColumns(rows, Object.values(group), 'group');
  const named = (row: SourceRow): SourceRow => withCanonicalNames(row, columns);
  const make =
    typeof template === 'string'
      ? (row: SourceRow) => TEMPLATES[template](row, { base, description, answerOnly })
      : customTemplate(template, columnsOf(rows.map(named)));
  return (row) => {
    const draft = make(named(row));
    if (isUnusable(draft)) return draft;
    const groups = Object.entries(group).map(([name, column]): [string, string] => [
      name,
      asText(columnOf(row, column)),
    ]);
    return { ...draft, group: { ...draft.group, ...Object.fromEntries<string>(groups) } };
  };
};

/** The examples before a question, chosen once; for a question that is among them the next one steps in. */
const exampleMaker = async (
  context: StepContext,
  params: FormatParams,
): Promise<(item: string) => Draft[]> => {
  const { fewshot } = params;
  const artifact = context.optionalInput('fewshot');
  if (fewshot === null) {
    if (artifact !== null) context.warn('input `fewshot` is not used: set `fewshot: { n: ... }`');
    return () => [];
  }
  if (artifact === null) {
    throw new StepError(
      'E565',
      '`fewshot` takes its examples from input `fewshot`, which is missing',
      'Add `fewshot: <a dataset that holds none of the test rows>` to `inputs`.',
    );
  }
  const rows = await readRows<DatasetRow>(artifact);
  const make = draftMaker(rows, params);
  const usable = rows.flatMap((row) => {
    const draft = make(row);
    return isUnusable(draft) || draft.target === null ? [] : [{ item: row.item, draft }];
  });
  const ordered = exampleOrder(usable.length, fewshot).flatMap((index) => usable[index] ?? []);
  return (item) => examplesFor(ordered, fewshot.n, item).map(({ draft }) => draft);
};

const promptRow = (row: DatasetRow, draft: Draft, made: Assembled): PromptRow => ({
  id: row.id,
  item: row.item,
  prompt: made.prompt,
  ...(made.turns === null ? {} : { messages: made.turns.map((turn) => ({ ...turn })) }),
  ...(made.completion === null ? {} : { completion: made.completion }),
  ...(made.choices === null ? {} : { choices: made.choices.map((choice) => ({ ...choice })) }),
  ...(draft.answer === null ? {} : { answer: draft.answer }),
  ...(draft.references.length === 0 ? {} : { references: draft.references }),
  ...(Object.keys(draft.group).length === 0 ? {} : { group: draft.group }),
});

const formatRows = async (context: StepContext): Promise<void> => {
  const params = formatParams(context.params);
  const model = context.optionalInput('model');
  const rows = await readRows<DatasetRow>(context.input('rows'));
  const makeDraft = draftMaker(rows, params);
  const examples = await exampleMaker(context, params);

  const needed = params.chat !== null ? 'chat' : params.maxLength !== null ? 'max_length' : null;
  const tokenizer = needed === null ? null : await tokenizerOf(model, needed);
  const chatting =
    params.chat === null || tokenizer === null ? null : chatOf(tokenizer, params.chat);
  const frame = chatting === null ? null : chatFrame(chatting.chat);
  const inText = chatting !== null;
  const appendEos = frame?.endsTurn !== true;

  const count = (prompt: string, completion: string): number =>
    (tokenizer?.encode(prompt + completion, { addSpecialTokens: !inText }).length ?? 0) +
    (appendEos ? 1 : 0);
  const made: PromptRow[] = [];
  const dropped = new Map<string, number>();
  const drop = (reason: string): void => {
    dropped.set(reason, (dropped.get(reason) ?? 0) + 1);
  };
  let truncated = 0;
  for (const row of rows) {
    const draft = makeDraft(row);
    if (isUnusable(draft)) {
      drop(draft.unusable);
      continue;
    }
    const shots = examples(row.item);
    const assembled =
      chatting === null || frame === null
        ? assembleText(draft, shots)
        : assembleChat(draft, shots, chatting.chat, frame);
    if (params.maxLength === null) {
      made.push(promptRow(row, draft, assembled));
      continue;
    }
    const { maxLength, onOverflow } = params;
    const fitted = fit(assembled, row.id, { maxLength, onOverflow, count });
    if (fitted.kind === 'dropped') drop(`longer than ${String(maxLength)} tokens`);
    else made.push(promptRow(row, draft, fitted.made));
    if (fitted.kind === 'truncated') truncated += 1;
  }
  if (made.length === 0) {
    const reasons = [...dropped].map(([reason, rowCount]) => `${reason}: ${String(rowCount)}`);
    throw new StepError('E568', 'no row became a prompt', reasons.join('; ') || undefined);
  }

  const { template, description, answerOnly, chat } = params;
  const decisive = {
    template: template as unknown as Json,
    description,
    answer_only: answerOnly,
    chat:
      chatting === null ? null : { template_digest: chatting.digest, system: chat?.system ?? null },
    special_tokens_in_text: inText,
    append_eos: appendEos,
  };
  const document: FormatDocument = {
    template: decisive.template,
    digest: createHash('sha256').update(canonicalText(decisive)).digest('hex'),
    special_tokens_in_text: inText,
    append_eos: appendEos,
    chat: decisive.chat,
    count: made.length,
    dropped: [...dropped].map(([reason, rowCount]) => ({ reason, count: rowCount })),
  };
  const output = context.output('prompts');
  writeRows(output, made);
  writeDocument(output, 'format.json', document);

  const notes = [...dropped].map(([reason, rowCount]) => `${String(rowCount)} dropped (${reason})`);
  if (truncated > 0) notes.push(`${String(truncated)} truncated`);
  context.report({
    kind: 'headline',
    text: [`${String(made.length)} prompts`, ...notes].join(', '),
  });
};

export const run = async (context: StepContext): Promise<void> => {
  try {
    await formatRows(context);
  } catch (cause) {
    if (cause instanceof DataError) throw new StepError(cause.code, cause.message, cause.hint);
    throw cause;
  }
};
