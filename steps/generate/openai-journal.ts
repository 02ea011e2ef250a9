// Answers of a server kept across attempts: lines `{"request": digest, "answer": ...}`. By the request's digest, so that
// an answer is found again whatever the order, and equal requests are asked once.

import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { JsonObject } from '../../schemas/json.ts';

export interface AnswerJournal {
  readonly answers: ReadonlyMap<string, JsonObject>;
  add(request: string, answer: JsonObject): void;
  close(): void;
}

export const openAnswerJournal = (path: string): AnswerJournal => {
  const answers = new Map<string, JsonObject>();
  if (existsSync(path)) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const entry = JSON.parse(line) as { readonly request: string; readonly answer: JsonObject };
      answers.set(entry.request, entry.answer);
    }
  }
  const file = openSync(path, 'a');
  return {
    answers,
    add: (request, answer) => {
      answers.set(request, answer);
      // One write call a line: a kill leaves whole lines, or one broken last line that the engine cuts off.
      writeSync(file, `${JSON.stringify({ request, answer })}\n`);
    },
    close: () => {
      closeSync(file);
    },
  };
};
