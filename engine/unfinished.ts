// Checkpoints that stopped runs left, and what a plan says of them. A checkpoint belongs to its key: other parameters
// start anew, and the former ones' checkpoint is kept until gc takes it.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ABOUT, hasProgress, type AboutCheckpoint } from './checkpoint-folder.ts';
import { explain } from './explain.ts';
import { gcDefaults } from './gc.ts';
import type { KeyFields, StepKey } from './key.ts';

const DAY_MS = 86_400_000;

interface Found {
  readonly about: AboutCheckpoint;
  /** When it was last written. */
  readonly at: number;
}

const read = (path: string): Found | null => {
  try {
    const about = JSON.parse(readFileSync(path, 'utf8')) as AboutCheckpoint;
    return { about, at: statSync(path).mtimeMs };
  } catch {
    // Cut off by a kill: the checkpoint is as good as ever, only nobody can say whose it is.
    return null;
  }
};

export class Unfinished {
  readonly #folder: string;
  readonly #keys: ReadonlySet<string>;
  readonly #known: ReadonlyMap<string, Found>;

  constructor(folder: string) {
    this.#folder = folder;
    const keys = existsSync(folder) ? readdirSync(folder) : [];
    this.#keys = new Set(keys);
    this.#known = new Map(
      keys.flatMap((key) => {
        const found = read(join(folder, key, ABOUT));
        return found === null ? [] : [[key, found] as const];
      }),
    );
  }

  /** What to add to the reason why a step has to run; empty where there is nothing to say. */
  words(key: StepKey, fields: KeyFields, id: string): string {
    if (this.#keys.has(key) && hasProgress(join(this.#folder, key)))
      return ' (goes on from its checkpoint)';
    for (const { about, at } of this.#known.values()) {
      if (about.type !== fields.step || about.id !== id) continue;
      const differences = explain(about.fields, fields);
      // With other inputs it is another experiment's, or what it was about has changed.
      if (differences.some(({ field }) => field.startsWith('inputs'))) continue;
      const until = new Date(at + gcDefaults.days * DAY_MS).toISOString().slice(0, 10);
      return ` (starts anew; the checkpoint of other settings is kept until ${until})`;
    }
    return '';
  }
}
