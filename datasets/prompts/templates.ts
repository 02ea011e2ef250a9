// The named templates. `medqa`, `medmcqa`, `pubmedqa` and `mmlu` are lm-evaluation-harness's prompts to the byte
// (lm_eval/tasks/{medqa,medmcqa,pubmedqa,mmlu}, 0.4.13): comparable with published figures made with it.

import { DataError } from '../error.ts';
import type { SourceRow } from '../row.ts';
import type { Draft, DraftChoice, Turn, Unusable } from './draft.ts';
import {
  decisionOf,
  instructionOf,
  questionOf,
  turnsOf,
  type AnswerRule,
  type Option,
  type Question,
} from './layouts.ts';

export interface TemplateOptions extends AnswerRule {
  /** Replaces the template's own description. */
  readonly description: string | null;
  /** Whether the completion is the answer alone, or followed by the row's explanation. */
  readonly answerOnly: boolean;
}

type Template = (row: SourceRow, options: TemplateOptions) => Draft | Unusable;

/** Python's str.strip(): JavaScript's trim also takes U+FEFF, and leaves the separators U+001C to U+001F, U+0085. */
const strip = (text: string): string =>
  text.replace(/^[\s\u001c-\u001f\u0085]+|[\s\u001c-\u001f\u0085]+$/g, (space) =>
    space.replaceAll(/[^\ufeff]/g, ''),
  );

const lines = (options: readonly Option[]): string =>
  options.map(({ label, text }) => `${label}. ${text}\n`).join('');

const bullets = (options: readonly Option[]): string =>
  options.map(({ text }) => `- ${text}\n`).join('');

const user = (content: string): Turn[] => [{ role: 'user', content }];

const withExplanation = (answer: string, explanation: string, options: TemplateOptions): string =>
  options.answerOnly || explanation === '' ? answer : `${answer}\n${explanation}`;

interface ChoiceStyle {
  readonly body: (question: Question) => string;
  readonly chat?: (question: Question) => string;
  readonly description?: (question: Question) => string;
  /** By letter, or by the option's words. */
  readonly by: 'letter' | 'text';
}

const choiceTemplate =
  (style: ChoiceStyle): Template =>
  (row, options) => {
    const question = questionOf(row, options);
    if ('unusable' in question) return question;
    const choices = question.options.map(({ label, text }): DraftChoice =>
      style.by === 'letter' ? { label, text: label, option: text } : { label, text },
    );
    const right = choices.find(({ label }) => label === question.answer);
    const body = style.body(question);
    return {
      description: options.description ?? style.description?.(question) ?? '',
      body,
      turns: user(style.chat?.(question) ?? body),
      delimiter: ' ',
      target:
        right === undefined ? null : withExplanation(right.text, question.explanation, options),
      choices,
      answer: question.answer,
      references: right === undefined ? [] : [right.text],
      group: question.subject === '' ? {} : { subject: question.subject },
    };
  };

const mmluDescription = ({ subject }: Question): string => {
  if (subject === '') {
    throw new DataError(
      'E562',
      'template mmlu needs to know the subject: rows have no column `subject`',
      'Set `description: "The following are multiple choice questions (with answers) about anatomy.\\n\\n"`, or map a column: `columns: { subject: ... }`.',
    );
  }
  const words = subject.replaceAll('_', ' ');
  return `The following are multiple choice questions (with answers) about ${words}.\n\n`;
};

const listed = ({ question, options }: Question): string =>
  `Question: ${question}\n${lines(options)}Answer:`;

const DECISIONS = ['yes', 'no', 'maybe'];

const pubmedqa: Template = (row, options) => {
  const { question, context, answer, explanation } = decisionOf(row);
  if (answer !== null && !DECISIONS.includes(answer)) {
    return { unusable: 'answer is none of yes, no, maybe' };
  }
  const body = `Abstract: ${context}\nQuestion: ${question}\nAnswer:`;
  return {
    description: options.description ?? '',
    body,
    turns: user(body),
    delimiter: ' ',
    target: answer === null ? null : withExplanation(answer, explanation, options),
    choices: DECISIONS.map((label) => ({ label, text: label })),
    answer,
    references: answer === null ? [] : [answer],
    group: {},
  };
};

/** The prompt of Stanford Alpaca, with and without an input. */
const instruction: Template = (row, options) => {
  const { instruction: task, input, output } = instructionOf(row);
  const intro =
    input === ''
      ? 'Below is an instruction that describes a task. Write a response that appropriately completes the request.'
      : 'Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.';
  const asked = input === '' ? '' : `\n\n### Input:\n${input}`;
  return {
    description: options.description ?? '',
    body: `${intro}\n\n### Instruction:\n${task}${asked}\n\n### Response:`,
    turns: user(input === '' ? task : `${task}\n\n${input}`),
    delimiter: '\n',
    target: output,
    choices: null,
    answer: null,
    references: output === null ? [] : [output],
    group: {},
  };
};

const speaker = (role: string): string => role.charAt(0).toUpperCase() + role.slice(1);

/** A conversation whose last turn, the assistant's, is the completion. */
const dialogue: Template = (row, options) => {
  const turns = turnsOf(row);
  const last = turns.at(-1);
  const answered = last?.role === 'assistant';
  const before = answered ? turns.slice(0, -1) : turns;
  if (before.length === 0) return { unusable: 'no turn before the answer' };
  const said = before.map(({ role, content }) => `${speaker(role)}: ${content}\n`).join('');
  const target = answered ? last.content : null;
  return {
    description: options.description ?? '',
    body: `${said}Assistant:`,
    turns: before,
    delimiter: ' ',
    target,
    choices: null,
    answer: null,
    references: target === null ? [] : [target],
    group: {},
  };
};

/** Plain text to be learnt or scored as it is; with a prompt where the row has one. */
const completion: Template = (row, options) => {
  const text = row['text'] ?? row['completion'] ?? row['page_text'];
  if (typeof text !== 'string') {
    throw new DataError(
      'E560',
      `a row has no text; its columns: ${Object.keys(row).join(', ')}`,
      'Map it: `columns: { text: ... }`.',
    );
  }
  if (text === '') return { unusable: 'empty text' };
  const prompt =
    row['text'] === undefined && typeof row['prompt'] === 'string' ? row['prompt'] : '';
  return {
    description: options.description ?? '',
    body: prompt,
    turns: user(prompt),
    delimiter: '',
    target: text,
    choices: null,
    answer: null,
    references: [text],
    group: {},
  };
};

export const TEMPLATES = {
  medqa: choiceTemplate({ by: 'letter', body: listed }),
  medmcqa: choiceTemplate({
    by: 'letter',
    body: ({ question, options }) => `Question: ${question}\nChoices:\n${lines(options)}Answer:`,
  }),
  mmlu: choiceTemplate({
    by: 'letter',
    description: mmluDescription,
    body: ({ question, options }) => `${strip(question)}\n${lines(options)}Answer:`,
  }),
  pubmedqa,
  'mcq-letter': choiceTemplate({
    by: 'letter',
    body: listed,
    chat: ({ question, options }) =>
      `${question}\n\n${lines(options)}\nAnswer with the letter of the correct option.`,
  }),
  // Without letters: a model that sees them answers with them, whatever it is asked for.
  'mcq-text': choiceTemplate({
    by: 'text',
    body: ({ question, options }) => `Question: ${question}\nOptions:\n${bullets(options)}Answer:`,
    chat: ({ question, options }) =>
      `${question}\n\n${bullets(options)}\nAnswer with the correct option and nothing else.`,
  }),
  // The options aren't listed: the answer is recalled, not chosen (as in ARC's and OLMES's cloze form).
  'mcq-cloze': choiceTemplate({
    by: 'text',
    body: ({ question }) => `Question: ${question}\nAnswer:`,
    chat: ({ question }) => question,
  }),
  instruction,
  dialogue,
  completion,
} as const satisfies Readonly<Record<string, Template>>;

export type TemplateName = keyof typeof TEMPLATES;
export const TEMPLATE_NAMES = Object.keys(TEMPLATES) as readonly TemplateName[];
