// Results of the newest run in a rig, found as the commands find them, but in this process: tests look at dozens.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { findArtifact, type OpenArtifact } from '../cli/results.ts';
import { openProject, type Project } from '../engine/project.ts';

export class Results implements Disposable {
  readonly #project: Project;

  constructor(root: string) {
    const opened = openProject({ root });
    assert.ok(opened.ok);
    this.#project = opened.value;
  }

  async artifact(step: string): Promise<OpenArtifact> {
    const found = await findArtifact(this.#project, `last/${step}`);
    assert.ok(found.ok, found.ok ? '' : found.error.message);
    return found.value.artifact;
  }

  async document<Document>(step: string, name: string): Promise<Document> {
    return JSON.parse(readFileSync((await this.artifact(step)).file(name), 'utf8')) as Document;
  }

  async rows<Row>(step: string): Promise<readonly Row[]> {
    return readFileSync((await this.artifact(step)).file('rows.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row);
  }

  [Symbol.dispose](): void {
    this.#project.close();
  }
}
