// Everything a run says: events to the screen and to events.jsonl, lines to the logs of steps, and at the end the
// record. It decides nothing.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventOf, RunEvent } from '../schemas/event.ts';
import type { RunRecord } from '../schemas/run-record.ts';
import { ABOUT, type AboutCheckpoint } from './checkpoint-folder.ts';
import { monotonicMs, now } from './clock.ts';
import type { AttemptMessage } from './executors/executor.ts';
import type { Damage } from './object-store.ts';
import { recordOf } from './record.ts';
import type { RunStep } from './run-step.ts';
import type { RunLog } from './run-store.ts';
import { storageFailure } from './storage-errors.ts';

/** Lines of a step's log that a failure carries. */
const LOG_TAIL = 20;

type Unsaid = { [Name in RunEvent['event']]: Omit<EventOf<Name>, 'at'> }[RunEvent['event']];

export class RunVoice {
  readonly #log: RunLog;
  readonly #onEvent: (event: RunEvent) => void;
  readonly #checkpointsDir: string;
  /** What the record is made of: progress and log lines are not. */
  readonly #said: RunEvent[] = [];

  constructor(log: RunLog, onEvent: (event: RunEvent) => void, checkpointsDir: string) {
    this.#log = log;
    this.#onEvent = onEvent;
    this.#checkpointsDir = checkpointsDir;
  }

  say(unsaid: Unsaid): void {
    const event = { ...unsaid, at: now() } as RunEvent;
    if (event.event !== 'step-progress' && event.event !== 'step-log') this.#said.push(event);
    this.#log.event(event);
    this.#onEvent(event);
  }

  count(name: RunEvent['event']): number {
    return this.#said.filter((event) => event.event === name).length;
  }

  damages(step: RunStep, damages: readonly Damage[]): void {
    for (const { digest, message } of damages)
      this.say({ event: 'cache-damaged', step: step.name, object: digest, message });
  }

  /** A word from a step's worker. */
  message(step: RunStep, message: AttemptMessage): void {
    switch (message.kind) {
      case 'progress': {
        const { kind: _, attempt: _attempt, ...progress } = message;
        const at = monotonicMs();
        [step.progressMs, step.progressAt] = [at - step.progressAt, at];
        this.say({ event: 'step-progress', step: step.name, ...progress });
        break;
      }
      case 'checkpoint':
        if (step.saved === '') this.#about(step);
        step.saved = message.note;
        this.say({ event: 'checkpoint-saved', step: step.name, note: message.note });
        break;
      case 'log': {
        const { level, text } = message;
        this.line(step, text);
        this.say({ event: 'step-log', step: step.name, level, text });
      }
    }
  }

  /** Says beside a checkpoint whose it is, for plans of the same step with other parameters. */
  #about(step: RunStep): void {
    const { key, fields, instance } = step;
    if (key === null || fields === null) return;
    const about: AboutCheckpoint = { type: instance.uses, id: instance.id, fields };
    try {
      writeFileSync(join(this.#checkpointsDir, key, ABOUT), JSON.stringify(about));
    } catch {
      // The checkpoint is good without it.
    }
  }

  /** A line of a step's log. */
  line(step: RunStep, text: string): void {
    step.tail.push(...text.split('\n'));
    if (step.tail.length > LOG_TAIL) step.tail.splice(0, step.tail.length - LOG_TAIL);
    this.#log.log(step.name, text);
  }

  /** Other bytes for the same key in the same numerics class. */
  changedOutput(step: RunStep, file: string): void {
    const diagnostic = {
      severity: 'warning',
      code: 'W501',
      message: `${step.name} gave other bytes than before with the same key: ${file}`,
      location: step.instance.location,
      hint: 'the step depends on something that its key does not hold',
    } as const;
    this.say({ event: 'warning', diagnostic });
  }

  /** The disk let the run down. Not said to the log, which may be what broke. */
  storage(error: unknown, folder: string = this.#log.folder): void {
    const why = storageFailure(error, folder);
    const message = `can't write to ${folder}: ${why?.message ?? (error as Error).message}`;
    const hint = why?.hint === undefined ? {} : { hint: why.hint };
    const diagnostic = { severity: 'error', code: 'E510', message, ...hint } as const;
    this.#onEvent({ event: 'warning', at: now(), diagnostic });
  }

  /** Writes the record. */
  close(): RunRecord {
    const record = recordOf(this.#log.initial, this.#said);
    this.#log.close(record);
    return record;
  }
}
