// runs/<id>/: what a run said and what came of it.
//
//   runs/k7q2/run.json       the record as it was when the run began (params, inputs, environment)
//             events.jsonl   every event, appended in batches
//             record.json    the record when it ended; made from the two above where the run was killed
//             logs/<step>.log

import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RunEvent } from '../schemas/event.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { recordOf } from './record.ts';

// No vowels and no look-alikes: an id is no word, no number, and can be read out.
const LETTERS = 'bcdfghjkmnpqrstvwxz';
const DIGITS = '23456789';

const randomId = (): string => {
  const bytes = randomBytes(4);
  const pick = (alphabet: string, at: number): string =>
    alphabet[(bytes[at] ?? 0) % alphabet.length] ?? '';
  return pick(LETTERS, 0) + pick(DIGITS, 1) + pick(LETTERS, 2) + pick(DIGITS + LETTERS, 3);
};

export const isRunId = (text: string): boolean => /^[a-z0-9]{4}$/.test(text) && text !== 'last';

/** Makes the folder of a new run. Throws the file system's errors. */
export const createRun = (runsDir: string): string => {
  mkdirSync(runsDir, { recursive: true });
  for (;;) {
    const id = randomId();
    try {
      mkdirSync(join(runsDir, id));
      return id;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
};

const writeJson = (path: string, value: unknown): void => {
  writeFileSync(`${path}.new`, `${JSON.stringify(value)}\n`, { flush: true });
  renameSync(`${path}.new`, path);
};

/** Instance names hold brackets, commas and whatever an axis value holds; file names may not. */
export const logName = (step: string): string => {
  const safe = step.replace(/[^A-Za-z0-9._=,@[\]-]/gu, (char) =>
    encodeURIComponent(char).replaceAll('*', '%2A'),
  );
  return `${safe.length > 180 ? `${safe.slice(0, 160)}~${Buffer.from(step).toString('base64url').slice(-16)}` : safe}.log`;
};

export const logPath = (runsDir: string, run: string, step: string): string =>
  join(runsDir, run, 'logs', logName(step));

/** The files of a run that is going on. Appends are gathered and written together. */
export class RunLog {
  readonly folder: string;
  readonly initial: RunRecord;
  readonly #events: number;
  #pending: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #logs = new Set<string>();
  readonly #onError: (error: unknown) => void;

  /** `onError` is told once when nothing can be written any more. */
  constructor(runsDir: string, initial: RunRecord, onError: (error: unknown) => void) {
    this.folder = join(runsDir, initial.run);
    this.initial = initial;
    this.#onError = onError;
    writeJson(join(this.folder, 'run.json'), initial);
    this.#events = openSync(join(this.folder, 'events.jsonl'), 'a');
  }

  event(event: RunEvent): void {
    this.#pending.push(JSON.stringify(event));
    this.#timer ??= setTimeout(() => {
      this.flush();
    }, 20);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length === 0) return;
    const text = `${this.#pending.join('\n')}\n`;
    this.#pending = [];
    this.#try(() => {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length;) at += writeSync(this.#events, bytes, at);
    });
  }

  /** A line of a step's log. */
  log(step: string, text: string): void {
    this.#try(() => {
      if (this.#logs.size === 0) mkdirSync(join(this.folder, 'logs'), { recursive: true });
      this.#logs.add(step);
      appendFileSync(join(this.folder, 'logs', logName(step)), `${text}\n`);
    });
  }

  /** Writes the final record. */
  close(record: RunRecord): void {
    this.flush();
    this.#try(() => {
      writeJson(join(this.folder, 'record.json'), record);
    });
    closeSync(this.#events);
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#onError(error);
    }
  }
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

export const readEvents = (runsDir: string, run: string): readonly RunEvent[] => {
  const path = join(runsDir, run, 'events.jsonl');
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  // What follows the last line break was cut off by a kill.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RunEvent);
};

/** Ids of all runs, newest first. */
export const runIds = (runsDir: string): readonly string[] => {
  if (!existsSync(runsDir)) return [];
  const found = readdirSync(runsDir).flatMap((id) => {
    const stat = statSync(join(runsDir, id, 'run.json'), { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ id, at: stat.mtimeMs }];
  });
  return found.sort((a, b) => b.at - a.at).map(({ id }) => id);
};

/** The record of a run by id, or of the newest for `last`. Null where there is none. */
export const readRun = (runsDir: string, run: string): RunRecord | null => {
  const id = run === 'last' ? runIds(runsDir)[0] : run;
  if (id === undefined || !isRunId(id)) return null;
  const folder = join(runsDir, id);
  if (existsSync(join(folder, 'record.json')))
    return readJson(join(folder, 'record.json')) as RunRecord;
  if (!existsSync(join(folder, 'run.json'))) return null;
  return recordOf(readJson(join(folder, 'run.json')) as RunRecord, readEvents(runsDir, id));
};
