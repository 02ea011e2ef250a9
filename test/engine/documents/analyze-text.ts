// Analyses an experiment given as text (and the files it extends), in a temporary folder.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyzeExperiment, type AnalyzeRequest } from '../../../engine/analyze.ts';
import type { Experiment } from '../../../engine/experiment.ts';
import type { Result } from '../../../engine/result.ts';
import type { Diagnostic } from '../../../schemas/diagnostic.ts';
import { fakeRegistry } from './fake-steps.ts';

export interface Extra {
  readonly files?: Readonly<Record<string, string>>;
  readonly set?: readonly (readonly [string, string])[];
  readonly env?: Readonly<Record<string, string>>;
  readonly seed?: string;
}

/** Calls `body` with the request for a folder that holds experiment.yaml and the other files. */
export const withRequest = <T>(
  text: string,
  extra: Extra,
  body: (request: AnalyzeRequest) => T,
): T => {
  const folder = mkdtempSync(join(tmpdir(), 'mesa-documents-'));
  try {
    const files = { 'experiment.yaml': text, ...extra.files };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    return body({
      file: join(folder, 'experiment.yaml'),
      cwd: folder,
      registry: fakeRegistry,
      plugins: new Map(),
      env: extra.env ?? {},
      seed: extra.seed,
      overrides: (extra.set ?? []).map(([path, value]) => ({ path, value, origin: '--set' })),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const analyzeText = (
  text: string,
  extra: Extra = {},
): Result<Experiment, readonly Diagnostic[]> => withRequest(text, extra, analyzeExperiment);

/** The experiment of a text that must be valid. */
export const experimentOf = (text: string, extra: Extra = {}): Experiment => {
  const result = analyzeText(text, extra);
  if (result.ok) return result.value;
  throw new Error(result.error.map(({ code, message }) => `${code} ${message}`).join('\n'));
};

export const codesOf = (text: string, extra: Extra = {}): readonly string[] => {
  const result = analyzeText(text, extra);
  return (result.ok ? result.value.warnings : result.error).map(({ code }) => code);
};
