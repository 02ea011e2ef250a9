// Who a row is, wherever it goes: `id` names the row, `item` its content. Both are given when a row is read, before any
// filter, shuffle or sample, so that two experiments that picked differently can still be paired row by row.

import { createHash } from 'node:crypto';
import { DataError } from './error.ts';
import { canonicalText, columnOf, type Row, type SourceRow, type Value } from './row.ts';

/** Columns that hold a question, its context and its options, in the usual layouts (of the hub, mostly). */
const QUESTION_COLUMNS = [
  'question',
  'Question',
  'QUESTION',
  'sent1',
  'sent2',
  'instruction',
  'input',
  'prompt',
  'messages',
  'conversations',
  'dialogue',
  'Description',
  'Patient',
  'context',
  'CONTEXTS',
  'data',
  'text',
  'options',
  'choices',
  'opa',
  'opb',
  'opc',
  'opd',
  'ending0',
  'ending1',
  'ending2',
  'ending3',
  'A',
  'B',
  'C',
  'D',
  'harmful_medical_request',
] as const;
/** Columns that hold its answer. */
const ANSWER_COLUMNS = [
  'answer',
  'Answer',
  'answer_idx',
  'cop',
  'label',
  'final_decision',
  'completion',
  'output',
  'Doctor',
  'response',
  'safe_response',
  'section_text',
] as const;

/**
 * First 16 hex digits of the SHA-256 over the row's question and answer fields; over all of its fields where it has
 * none of the names above.
 */
export const itemOf = (row: SourceRow): string => {
  const pick = (names: readonly string[]): (Value | undefined)[] =>
    names.map((name) => row[name]).filter((value) => value !== undefined);
  const question = pick(QUESTION_COLUMNS);
  const answer = pick(ANSWER_COLUMNS);
  const text =
    question.length + answer.length === 0
      ? canonicalText(row)
      : `[${question.map(canonicalText).join(',')}]|[${answer.map(canonicalText).join(',')}]`;
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
};

const idText = (value: Value | undefined, column: string, where: string): string => {
  if (typeof value === 'string' && value !== '') return value;
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return String(value);
    throw new DataError(
      'E543',
      `${where}: id ${String(value)} in column ${JSON.stringify(column)} is no exact integer`,
      'Write ids of more than 15 digits as text.',
    );
  }
  throw new DataError(
    'E543',
    `${where}: column ${JSON.stringify(column)} holds no id but ${value === undefined ? 'nothing' : JSON.stringify(value)}`,
    'An id is a text or an integer. Leave id_column out to number the rows.',
  );
};

export interface IdentityOptions {
  /** How the source is called in ids: file name without ending, or `id/split` of a hub dataset. */
  readonly name: string;
  /**
   * The column with ids. `undefined`: column `id` where the first row has it, else rows are numbered;
   * `null`: numbered in any case.
   */
  readonly idColumn: string | null | undefined;
}

/** Gives every row of one source its identity; two rows with one id are an error that names both. */
export const identify = (rows: readonly SourceRow[], options: IdentityOptions): Row[] => {
  const first = rows[0];
  const column =
    options.idColumn === undefined
      ? first !== undefined && Object.hasOwn(first, 'id')
        ? 'id'
        : null
      : options.idColumn;
  const seen = new Map<string, number>();
  return rows.map((source, index) => {
    const where = `${options.name}:${String(index)}`;
    const id = column === null ? where : idText(columnOf(source, column), column, where);
    const former = seen.get(id);
    if (former !== undefined) {
      throw new DataError(
        'E543',
        `rows ${String(former)} and ${String(index)} of ${options.name} both have id ${JSON.stringify(id)}`,
        column === null
          ? 'Two files of one name were read: give them different names, or mix them as two sources.'
          : 'Set id_column to a column that is unique, or to null to number the rows.',
      );
    }
    seen.set(id, index);
    return { id, item: itemOf(source), source };
  });
};

/** How many rows repeat the item of an earlier one. */
export const countDuplicates = (rows: readonly Row[]): number =>
  rows.length - new Set(rows.map((row) => row.item)).size;
