// The column layouts in which the field's datasets come, read into one shape per task. Which layout a row has is told
// from its columns; `columns` maps others to the canonical names (question, options, answer, context, explanation,
// instruction, input, output, text, messages).

import { DataError } from '../error.ts';
import { columnOf, isObject, type SourceRow, type Value } from '../row.ts';
import { asText, type Turn } from './draft.ts';

export interface Option {
  readonly label: string;
  readonly text: string;
}
export interface Question {
  readonly question: string;
  readonly options: readonly Option[];
  /** Label of the right option; null where the row has none. */
  readonly answer: string | null;
  readonly context: string;
  readonly explanation: string;
  readonly subject: string;
}

/** Lays the mapped columns over the row under their canonical names. */
export const withCanonicalNames = (
  row: SourceRow,
  columns: Readonly<Record<string, string>>,
): SourceRow => {
  const mapped = Object.entries(columns);
  if (mapped.length === 0) return row;
  const out: Record<string, Value> = { ...row };
  if (columns['answer'] !== undefined) delete out['answer_idx'];
  for (const [name, column] of mapped) {
    const value = columnOf(row, column);
    if (value !== undefined) out[name] = value;
  }
  return out;
};

const letter = (index: number): string => String.fromCharCode(65 + index);

const labelled = (values: readonly (Value | undefined)[]): Option[] =>
  values.map((value, index) => ({ label: letter(index), text: asText(value) }));

const has = (row: SourceRow, ...columns: readonly string[]): boolean =>
  columns.every((column) => Object.hasOwn(row, column));

const optionsOf = (row: SourceRow): Option[] | null => {
  const given = row['options'] ?? row['choices'];
  if (Array.isArray(given)) return labelled(given as readonly Value[]);
  if (isObject(given)) {
    // {text: [...], label: [...]} is how ARC-like sets write options; otherwise {A: ..., B: ...}.
    if (Array.isArray(given['text'])) return labelled(given['text'] as readonly Value[]);
    return Object.entries(given)
      .filter(([, text]) => text !== null)
      .map(([label, text]) => ({ label, text: asText(text) }));
  }
  if (has(row, 'opa', 'opb')) {
    return labelled(
      ['opa', 'opb', 'opc', 'opd', 'ope'].filter((name) => has(row, name)).map((name) => row[name]),
    );
  }
  if (has(row, 'ending0', 'ending1')) {
    return labelled(
      ['ending0', 'ending1', 'ending2', 'ending3', 'ending4']
        .filter((name) => has(row, name))
        .map((name) => row[name]),
    );
  }
  if (has(row, 'A', 'B')) {
    return ['A', 'B', 'C', 'D', 'E']
      .filter((label) => has(row, label))
      .map((label) => ({ label, text: asText(row[label]) }));
  }
  return null;
};

const ANSWERS = ['answer_idx', 'cop', 'label', 'answer'] as const;

export interface AnswerRule {
  /** Number of the first option where answers are numbers: the hub's sets count from 0, MedMCQA's raw files from 1. */
  readonly base: number;
}

/** Label of the answer; `null`: none given; `undefined`: given, but none of the options. */
const answerLabel = (
  value: Value | undefined,
  options: readonly Option[],
  rule: AnswerRule,
): string | null | undefined => {
  if (value === undefined || value === null || value === '' || value === -1) return null;
  if (typeof value === 'number') return options[value - rule.base]?.label;
  if (typeof value !== 'string') return undefined;
  const given = value.trim();
  const byLabel = options.find(({ label }) => label.toLowerCase() === given.toLowerCase());
  if (byLabel !== undefined) return byLabel.label;
  const byText = options.filter(({ text }) => text.trim() === given);
  if (byText.length === 1) return byText[0]?.label;
  return /^\d+$/.test(given) ? options[Number(given) - rule.base]?.label : undefined;
};

/** openlifescienceai's own layout: everything in one column `data`. */
const unwrapped = (row: SourceRow): SourceRow => {
  const data = row['data'];
  if (!isObject(data)) return row;
  return {
    ...row,
    question: data['Question'] ?? null,
    options: data['Options'] ?? null,
    answer: data['Correct Option'] ?? data['Correct Answer'] ?? null,
    ...(data['Context'] === undefined ? {} : { context: data['Context'] }),
  };
};

const contextOf = (row: SourceRow): string => {
  const value = row['context'] ?? row['CONTEXTS'];
  const parts = isObject(value) ? value['contexts'] : value;
  return Array.isArray(parts) ? (parts as readonly Value[]).map(asText).join('\n') : asText(parts);
};

const questionText = (row: SourceRow): string | null => {
  const value = row['question'] ?? row['sent1'] ?? row['QUESTION'] ?? row['Question'];
  return typeof value === 'string' ? value : null;
};

export const SUBJECT_COLUMNS = ['subject', 'subject_name'] as const;

/** A multiple-choice question, or what keeps the row from being one. */
export const questionOf = (
  row: SourceRow,
  rule: AnswerRule,
): Question | { readonly unusable: string } => {
  const source = unwrapped(row);
  const question = questionText(source);
  const options = optionsOf(source);
  if (question === null || options === null) {
    throw new DataError(
      'E560',
      `a row has no ${question === null ? 'question' : 'options'} that this template knows; its columns: ${Object.keys(row).join(', ')}`,
      'Map them: `columns: { question: ..., options: ..., answer: ... }` (options may also be columns A, B, C, D).',
    );
  }
  if (options.length < 2) return { unusable: 'fewer than two options' };
  const column = ANSWERS.find((name) => has(source, name));
  const value = column === undefined ? undefined : source[column];
  if (value === options.length && rule.base === 0) {
    throw new DataError(
      'E561',
      `${String(column)} is ${String(value)} in a row with ${String(options.length)} options: these answers count from 1`,
      "Set `answer_base: 1`. (The raw MedMCQA files count from 1, the hub's from 0.)",
    );
  }
  const answer = answerLabel(value, options, rule);
  if (answer === undefined) return { unusable: 'answer is none of the options' };
  const subject = SUBJECT_COLUMNS.map((name) => source[name]).find((name) => name !== undefined);
  return {
    question,
    options,
    answer,
    context: contextOf(source),
    explanation: asText(source['explanation'] ?? source['exp'] ?? source['long_answer']),
    subject: asText(subject),
  };
};

export interface Decision {
  readonly question: string;
  readonly context: string;
  readonly answer: string | null;
  readonly explanation: string;
}

/** PubMedQA: a question about an abstract, answered by yes, no or maybe. */
export const decisionOf = (row: SourceRow): Decision => {
  const source = unwrapped(row);
  const question = questionText(source);
  const context = contextOf(source);
  if (question === null || context === '') {
    throw new DataError(
      'E560',
      `a row has no ${question === null ? 'question' : 'context'}; its columns: ${Object.keys(row).join(', ')}`,
      'Map them: `columns: { question: ..., context: ..., answer: ... }`.',
    );
  }
  const data = row['data'];
  const answer = asText(
    source['final_decision'] ??
      (isObject(data) ? data['Correct Answer'] : undefined) ??
      source['answer'],
  );
  const explanation = source['explanation'] ?? source['long_answer'] ?? source['LONG_ANSWER'];
  return {
    question,
    context,
    answer: answer === '' ? null : answer.trim().toLowerCase(),
    explanation: asText(explanation),
  };
};

export interface Instruction {
  readonly instruction: string;
  readonly input: string;
  readonly output: string | null;
}

const PAIRS = [
  ['instruction', 'output'],
  ['prompt', 'completion'],
  ['prompt', 'response'],
  ['question', 'answer'],
  ['Question', 'Answer'],
  ['harmful_medical_request', 'safe_response'],
  ['Patient', 'Doctor'],
] as const;

export const instructionOf = (row: SourceRow): Instruction => {
  const pair = PAIRS.find(([ask]) => typeof row[ask] === 'string');
  if (pair === undefined) {
    throw new DataError(
      'E560',
      `a row has no instruction; its columns: ${Object.keys(row).join(', ')}`,
      'Map them: `columns: { instruction: ..., output: ... }`.',
    );
  }
  const [ask] = pair;
  const answers = PAIRS.filter(([name]) => name === ask).map(([, answer]) => answer);
  const output = answers.map((name) => row[name]).find((value) => typeof value === 'string');
  return {
    instruction: asText(row[ask]),
    input: ask === 'instruction' ? asText(row['input']) : '',
    output: typeof output === 'string' ? output : null,
  };
};

const ROLES: Readonly<Record<string, string>> = {
  human: 'user',
  gpt: 'assistant',
  bot: 'assistant',
};

/** The turns of a conversation: a list of messages, or one exchange of patient and doctor. */
export const turnsOf = (row: SourceRow): readonly Turn[] => {
  const list = row['messages'] ?? row['conversations'];
  if (Array.isArray(list)) {
    return (list as readonly Value[]).filter(isObject).map((message) => {
      const role = asText(message['role'] ?? message['from']);
      return {
        role: ROLES[role] ?? role,
        content: asText(message['content'] ?? message['value']),
      };
    });
  }
  const { instruction, input, output } = instructionOf(row);
  const asked = {
    role: 'user',
    content: input === '' ? instruction : `${instruction}\n\n${input}`,
  };
  return output === null ? [asked] : [asked, { role: 'assistant', content: output }];
};
