// Rows and documents inside artifacts: read with an error that names file and line, written one object a line.

import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { StepError, type InputArtifact, type OutputArtifact } from '../engine/step.ts';
import { join } from 'node:path';

/** The rows of `rows.jsonl`. `Row` is the contract of the artifact's kind (schemas/artifact.ts). */
export const readRows = async <Row>(
  artifact: InputArtifact,
  name = 'rows.jsonl',
): Promise<Row[]> => {
  const rows: Row[] = [];
  // Split at LF alone: JSON may hold U+2028 as it is, which node:readline takes for the end of a line.
  const bytes = await readFile(artifact.file(name));
  let number = 0;
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(0x0a, start);
    const end = found === -1 ? bytes.length : found;
    const line = bytes.toString('utf8', start, end);
    start = end + 1;
    number += 1;
    if (line.trim() === '') continue;
    try {
      rows.push(JSON.parse(line) as Row);
    } catch (cause) {
      throw new StepError('E510', `${name}:${number} is no JSON object: ${String(cause)}`);
    }
  }
  return rows;
};

export const readDocument = <Document>(artifact: InputArtifact, name: string): Document =>
  JSON.parse(readFileSync(artifact.file(name), 'utf8')) as Document;

export const writeRows = (
  output: OutputArtifact,
  rows: Iterable<unknown>,
  name = 'rows.jsonl',
): void => {
  let text = '';
  for (const row of rows) text += `${JSON.stringify(row)}\n`;
  writeFileSync(join(output.folder, name), text);
};

export const writeDocument = (output: OutputArtifact, name: string, document: unknown): void =>
  writeFileSync(join(output.folder, name), `${JSON.stringify(document, null, 2)}\n`);
