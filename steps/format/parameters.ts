// format's parameters: their schema, and from them what datasets/prompts understands.

import type { Complaint } from '../../engine/step.ts';
import type { CustomTemplate } from '../../datasets/prompts/custom.ts';
import type { FewshotOptions } from '../../datasets/prompts/fewshot.ts';
import type { Overflow } from '../../datasets/prompts/fit.ts';
import type { TemplateName } from '../../datasets/prompts/templates.ts';
import type { Json, JsonObject, JsonSchema } from '../../schemas/json.ts';

const JINJA: JsonSchema = { type: 'string' };
const JINJA_BY_NAME: JsonSchema = { type: 'object', additionalProperties: JINJA };

export const PARAMS: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['template'],
  properties: {
    template: {
      description:
        "A named template (medqa, medmcqa, pubmedqa, mmlu: lm-evaluation-harness's prompts to the byte), or one of your own: Jinja for each part, which sees the row's columns.",
      anyOf: [
        {
          enum: [
            'medqa',
            'medmcqa',
            'mmlu',
            'pubmedqa',
            'mcq-letter',
            'mcq-text',
            'mcq-cloze',
            'instruction',
            'dialogue',
            'completion',
          ],
        },
        {
          type: 'object',
          additionalProperties: false,
          required: ['prompt'],
          properties: {
            prompt: { ...JINJA, description: 'What the model is given.' },
            completion: {
              ...JINJA,
              description: 'What follows it, exactly: begin with a space where words are joined.',
            },
            choices: {
              anyOf: [JINJA, { type: 'array', minItems: 2, items: JINJA }, JINJA_BY_NAME],
              description:
                'Texts that may follow, by label; a list is labelled A, B, ...; one text ends in `| tojson`.',
            },
            answer: {
              ...JINJA,
              description: 'Label of the right choice, or its words; or a text.',
            },
            references: {
              anyOf: [JINJA, { type: 'array', items: JINJA }],
              description: 'Texts that a generated answer is compared with.',
            },
            group: { ...JINJA_BY_NAME, description: 'Groups for separate tables of scores.' },
          },
        },
      ],
    },
    columns: {
      type: 'object',
      additionalProperties: { type: 'string' },
      default: {},
      description:
        'For rows with other column names: question, options (or A, B, C, D), answer, context, explanation, subject, instruction, input, output, text, messages: the column that holds it.',
    },
    answer_base: {
      enum: [0, 1],
      default: 0,
      description:
        "Number of the first option where answers are numbers (the hub's sets: 0; raw MedMCQA: 1).",
    },
    description: {
      type: 'string',
      description: "Stands once before examples and question; replaces the template's own.",
    },
    group: {
      type: 'object',
      additionalProperties: { type: 'string' },
      default: {},
      description: 'Groups for separate tables of scores: name: column.',
    },
    chat: {
      type: 'object',
      additionalProperties: false,
      properties: {
        system: { type: 'string', description: 'System message.' },
        template: {
          type: 'string',
          default: 'tokenizer',
          description: '`tokenizer`: the chat template of input `model`; or a Jinja chat template.',
        },
      },
      description: 'Writes each prompt as a conversation in a chat template (needs input `model`).',
    },
    fewshot: {
      type: 'object',
      additionalProperties: false,
      required: ['n'],
      properties: {
        n: { type: 'integer', minimum: 1, description: 'Number of examples.' },
        seed: { type: 'integer', minimum: 0, default: 0 },
        method: { enum: ['first', 'sample'], default: 'first' },
      },
      description: 'Answered examples before each question, from input `fewshot`.',
    },
    max_length: {
      type: 'integer',
      minimum: 2,
      description: 'Most tokens of prompt and completion together (needs input `model`).',
    },
    on_overflow: {
      enum: ['error', 'drop', 'truncate_start', 'truncate_end'],
      default: 'error',
      description:
        'A longer row: an error; left out; its prompt cut at the start; its completion cut at the end.',
    },
    answer_only: {
      type: 'boolean',
      default: true,
      description: "false: the row's explanation follows the answer in the completion.",
    },
  },
};

export interface FormatParams {
  readonly template: TemplateName | CustomTemplate;
  readonly columns: Readonly<Record<string, string>>;
  readonly answerBase: number;
  readonly description: string | null;
  readonly group: Readonly<Record<string, string>>;
  readonly chat: { readonly system: string | null; readonly template: string } | null;
  readonly fewshot: FewshotOptions | null;
  readonly maxLength: number | null;
  readonly onOverflow: Overflow;
  readonly answerOnly: boolean;
}

const text = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);

export const formatParams = (params: JsonObject): FormatParams => {
  const chat = params['chat'] as JsonObject | undefined;
  const fewshot = params['fewshot'] as JsonObject | undefined;
  const maxLength = params['max_length'];
  return {
    template: params['template'] as unknown as TemplateName | CustomTemplate,
    columns: (params['columns'] ?? {}) as Record<string, string>,
    answerBase: Number(params['answer_base'] ?? 0),
    description: text(params['description']),
    group: (params['group'] ?? {}) as Record<string, string>,
    chat:
      chat === undefined
        ? null
        : { system: text(chat['system']), template: text(chat['template']) ?? 'tokenizer' },
    fewshot:
      fewshot === undefined
        ? null
        : {
            n: Number(fewshot['n']),
            seed: Number(fewshot['seed'] ?? 0),
            method: fewshot['method'] === 'sample' ? 'sample' : 'first',
          },
    maxLength: typeof maxLength === 'number' ? maxLength : null,
    onOverflow: (text(params['on_overflow']) ?? 'error') as Overflow,
    answerOnly: params['answer_only'] !== false,
  };
};

/** What the schema can't say. */
export const checkParams = (params: JsonObject): Complaint[] => {
  const { chat, maxLength, onOverflow, template, description } = formatParams(params);
  const problems: Complaint[] = [];
  if (chat !== null && onOverflow.startsWith('truncate')) {
    problems.push({
      pointer: '/on_overflow',
      message: `${onOverflow} would cut the chat template apart`,
      hint: 'Use drop or error with `chat`.',
    });
  }
  if (onOverflow !== 'error' && maxLength === null) {
    problems.push({ pointer: '/on_overflow', message: 'has no meaning without max_length' });
  }
  if (typeof template === 'object' && description !== null) {
    problems.push({
      pointer: '/description',
      message: 'goes with named templates; write it into `prompt`',
    });
  }
  return problems;
};
