// Step key -> what the step wrote, how long it took, and where and when. It says nothing about whether the bytes are
// still there: that is object-store.ts.

import type { Statement } from 'better-sqlite3';
import type { Provenance, StepResult } from '../schemas/event.ts';
import { now } from './clock.ts';
import { write, type Sqlite } from './database.ts';
import { codelessKey, type KeyFields, type StepKey } from './key.ts';

export interface Action {
  readonly key: StepKey;
  readonly fields: KeyFields;
  readonly result: StepResult;
  readonly made: Provenance;
  readonly peakBytes: number | null;
}

/** An action and the step it was made for. */
export interface NewAction extends Action {
  /** The step's id in the file. */
  readonly id: string;
  /** Its instance name. */
  readonly step: string;
}

interface Row {
  key: string;
  numerics: string;
  fields: string;
  result: string;
  run: string;
  finished_at: number;
  duration_ms: number;
  peak_bytes: number | null;
  accepted: string | null;
}

type HistoryRow = Pick<Row, 'fields' | 'duration_ms' | 'peak_bytes'> & { readonly step: string };

export interface History {
  readonly fields: KeyFields;
  readonly step: string;
  readonly durationMs: number;
  readonly peakBytes: number | null;
}

const actionOf = (row: Row): Action => ({
  key: row.key as StepKey,
  fields: JSON.parse(row.fields) as KeyFields,
  result: JSON.parse(row.result) as StepResult,
  peakBytes: row.peak_bytes,
  made: {
    run: row.run,
    finishedAt: new Date(row.finished_at).toISOString(),
    durationMs: row.duration_ms,
    numericsClass: row.numerics === '' ? null : row.numerics,
    ...(row.accepted === null ? {} : { acceptedCode: row.accepted }),
  },
});

/** How many earlier results of a step are looked at to say why it is stale. */
const HISTORY_LIMIT = 20;

export class ActionCache {
  readonly #database: Sqlite;
  readonly #byKey: Statement<[string], Row>;
  readonly #byCodeless: Statement<[string], Row>;
  readonly #put: Statement<[Record<string, string | number | null>]>;
  readonly #used: Statement<[number, string]>;
  readonly #drop: Statement<[string, string]>;
  readonly #byStep: Statement<[string, string], HistoryRow>;
  readonly #byType: Statement<[string], HistoryRow>;
  readonly #histories = new Map<string, readonly History[]>();

  constructor(database: Sqlite) {
    this.#database = database;
    // The first result stands, so it comes first.
    this.#byKey = database.prepare('SELECT * FROM actions WHERE key = ? ORDER BY finished_at');
    this.#byCodeless = database.prepare(
      'SELECT * FROM actions WHERE codeless = ? ORDER BY finished_at DESC LIMIT 1',
    );
    this.#put = database.prepare(`INSERT OR REPLACE INTO actions VALUES (@key, @numerics, @codeless,
      @type, @id, @step, @fields, @result, @run, @finishedAt, @durationMs, @peakBytes, @accepted, @usedAt)`);
    this.#used = database.prepare('UPDATE actions SET used_at = ? WHERE key = ?');
    this.#drop = database.prepare('DELETE FROM actions WHERE key = ? AND numerics = ?');
    const columns = 'SELECT fields, step, duration_ms, peak_bytes FROM actions WHERE type = ?';
    const newest = `ORDER BY finished_at DESC LIMIT ${HISTORY_LIMIT}`;
    this.#byStep = database.prepare(`${columns} AND id = ? ${newest}`);
    this.#byType = database.prepare(`${columns} ${newest}`);
  }

  /**
   * The result for a key. One of the own numerics class is preferred; where `strict`, no other counts.
   * `numericsClass` is null for a step without numerics.
   */
  get(key: StepKey, numericsClass: string | null, strict: boolean): Action | null {
    const rows = this.#byKey.all(key);
    const own = rows.find((row) => row.numerics === (numericsClass ?? ''));
    const row = own ?? (strict ? undefined : rows[0]);
    return row === undefined ? null : actionOf(row);
  }

  /** A result whose key differs in the code only. */
  withOtherCode(fields: KeyFields): Action | null {
    const row = this.#byCodeless.get(codelessKey(fields));
    return row === undefined ? null : actionOf(row);
  }

  /** Must be called in the transaction that makes the artifacts' objects known. */
  put(action: NewAction): void {
    this.#histories.clear();
    this.#put.run({
      key: action.key,
      numerics: action.made.numericsClass ?? '',
      codeless: codelessKey(action.fields),
      type: action.fields.step,
      id: action.id,
      step: action.step,
      fields: JSON.stringify(action.fields),
      result: JSON.stringify(action.result),
      run: action.made.run,
      finishedAt: Date.parse(action.made.finishedAt),
      durationMs: action.made.durationMs,
      peakBytes: action.peakBytes,
      accepted: action.made.acceptedCode ?? null,
      usedAt: now(),
    });
  }

  /** What gc sorts by. */
  markUsed(keys: readonly StepKey[]): void {
    if (keys.length === 0) return;
    const at = now();
    write(this.#database, () => {
      for (const key of keys) this.#used.run(at, key);
    });
  }

  drop(action: Action): void {
    write(this.#database, () => this.#drop.run(action.key, action.made.numericsClass ?? ''));
  }

  /** Newest first: earlier results of the step with this type and id, or of any step of the type if there is none. */
  history(type: string, id: string): readonly History[] {
    const ofType = this.#remember(type, () => this.#byType.all(type));
    // Most steps of a first run: one question for the type answers for all of them.
    if (ofType.length === 0) return ofType;
    const ofStep = this.#remember(`${type}\n${id}`, () => this.#byStep.all(type, id));
    return ofStep.length > 0 ? ofStep : ofType;
  }

  #remember(name: string, read: () => readonly HistoryRow[]): readonly History[] {
    let found = this.#histories.get(name);
    if (found === undefined) {
      found = read().map((row) => ({
        fields: JSON.parse(row.fields) as KeyFields,
        step: row.step,
        durationMs: row.duration_ms,
        peakBytes: row.peak_bytes,
      }));
      this.#histories.set(name, found);
    }
    return found;
  }
}
