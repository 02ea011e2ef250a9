// Rows and documents inside artifacts: read with an error that names file and line, written one object a line.

import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { StepError, type InputArtifact, type OutputArtifact } from '../engine/step.ts';
import { join } from 'node:path';

/** The rows of `rows.jsonl`. `Row` is the contract of the artifact's kind (schemas/artifact.ts). */
export const readRows = async <Row>(
  artifact: InputArtifact,
  name = 'rows.jsonl',
): Promise<Row[]> => {
  const rows: Row[] = [];
  const lines = createInterface({
    input: createReadStream(artifact.file(name)),
    crlfDelay: Infinity,
  });
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line === '') continue;
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
