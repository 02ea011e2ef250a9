// `--samples 'exact_match=0'`, `--filter 'status=ok'`: conditions on one field, joined by commas. A small declared
// language; nothing is evaluated.

import { err, ok, type Result } from '../engine/result.ts';
import type { Json, JsonObject } from '../schemas/json.ts';

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~';

interface Condition {
  readonly field: string;
  readonly operator: Operator;
  readonly value: string;
}

export type RowFilter = (row: JsonObject) => boolean;

const pattern = /^\s*([A-Za-z_][\w.-]*)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*$/;

const isOperator = (text: string | undefined): text is Operator =>
  text !== undefined && ['=', '!=', '<', '<=', '>', '>=', '~'].includes(text);

/** `metrics.exact_match`, or `exact_match` wherever it stands one level down. */
export const fieldOf = (row: JsonObject, name: string): Json | undefined => {
  if (name in row) return row[name];
  const [head = '', ...rest] = name.split('.');
  const inner = row[head];
  if (rest.length > 0 && isObject(inner)) return fieldOf(inner, rest.join('.'));
  for (const value of Object.values(row)) if (isObject(value) && name in value) return value[name];
  return undefined;
};

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const asText = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** A metric of 1 is "true" and of 0 is "false" too: people think of a row as right or wrong. */
const equal = (value: Json, wanted: string): boolean => {
  if (asText(value) === wanted) return true;
  if (wanted === 'true' || wanted === 'false') return value === (wanted === 'true' ? 1 : 0);
  return typeof value === 'number' && wanted !== '' && Number(wanted) === value;
};

const holds = ({ field, operator, value: wanted }: Condition, row: JsonObject): boolean => {
  const value = fieldOf(row, field);
  if (value === undefined || value === null) return operator === '!=';
  switch (operator) {
    case '=':
      return equal(value, wanted);
    case '!=':
      return !equal(value, wanted);
    case '~':
      return asText(value).toLowerCase().includes(wanted.toLowerCase());
    case '<':
      return Number(value) < Number(wanted);
    case '<=':
      return Number(value) <= Number(wanted);
    case '>':
      return Number(value) > Number(wanted);
    case '>=':
      return Number(value) >= Number(wanted);
  }
};

export const parseFilter = (text: string): Result<RowFilter, string> => {
  const conditions: Condition[] = [];
  for (const part of text.split(',')) {
    const match = pattern.exec(part);
    const operator = match?.[2];
    if (match === null || !isOperator(operator))
      return err(`"${part.trim()}" is no condition: write field=value, or with != < <= > >= ~`);
    conditions.push({ field: match[1] ?? '', operator, value: match[3] ?? '' });
  }
  return ok((row) => conditions.every((condition) => holds(condition, row)));
};

/** Whether any row has the field at all: a filter on a misspelt one would silently match nothing. */
export const unknownFields = (text: string, rows: readonly JsonObject[]): string[] =>
  text
    .split(',')
    .flatMap((part) => pattern.exec(part)?.[1] ?? [])
    .filter((field) => !rows.some((row) => fieldOf(row, field) !== undefined));
