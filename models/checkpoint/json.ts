// JSON from files that somebody else wrote: parsed to `unknown`, looked into with checks, errors name the file.

import { CheckpointError } from './error.ts';
import { readWholeFile } from './file.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value in a message: neither pages of it nor, of what is nested a thousand times, a stack that overflows. */
export const shown = (value: unknown): string => {
  if (Array.isArray(value)) return value.every(isPlain) ? cut(JSON.stringify(value)) : 'a list';
  return isPlain(value)
    ? cut(value === undefined ? 'missing' : JSON.stringify(value))
    : 'an object';
};

const isPlain = (value: unknown): boolean => typeof value !== 'object' || value === null;

const cut = (text: string): string => (text.length <= 80 ? text : `${text.slice(0, 77)}...`);

export const parseJson = (path: string, bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CheckpointError(
      path,
      `does not hold valid JSON (${error instanceof Error ? error.message : String(error)})`,
    );
  }
};

export const readJsonObject = (path: string): JsonRecord => {
  const value = parseJson(path, readWholeFile(path));
  if (!isRecord(value)) throw new CheckpointError(path, 'must hold a JSON object');
  return value;
};
