// Reading what a step wrote.

import { readFileSync } from 'node:fs';
import type { InputArtifact } from '../../engine/step.ts';

export const rowsOf = <Row>(artifact: InputArtifact): Row[] =>
  readFileSync(artifact.file('rows.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);

export const documentOf = <Document>(artifact: InputArtifact, name: string): Document =>
  JSON.parse(readFileSync(artifact.file(name), 'utf8')) as Document;
