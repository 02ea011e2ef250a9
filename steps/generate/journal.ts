// Finished rows kept across attempts of one step: lines `{"index": n, "row": {...}}` appended as rows finish, in any
// order. A row that isn't in it starts again from its prompt. Knows nothing of models.

import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { PredictionRow } from '../../schemas/artifact.ts';

export interface Journal {
  /** Rows of earlier attempts and of this one, by place. */
  readonly rows: ReadonlyMap<number, PredictionRow>;
  add(index: number, row: PredictionRow): void;
  close(): void;
}

export const openJournal = (path: string): Journal => {
  const rows = new Map<number, PredictionRow>();
  if (existsSync(path)) {
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      if (line === '') continue;
      const entry = JSON.parse(line) as { readonly index: number; readonly row: PredictionRow };
      rows.set(entry.index, entry.row);
    }
  }
  const file = openSync(path, 'a');
  return {
    rows,
    add: (index, row) => {
      rows.set(index, row);
      // One write call a line: a kill leaves whole lines, or one broken last line that the engine cuts off.
      writeSync(file, `${JSON.stringify({ index, row })}\n`);
    },
    close: () => {
      closeSync(file);
    },
  };
};
