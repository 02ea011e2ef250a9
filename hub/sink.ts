// An unfinished blob that is being written, with the digests of what it holds so far.

import { createHash, type Hash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { isGitSha1, isSha256, type Metadata } from './metadata.ts';

export class Sink {
  readonly path: string;
  readonly #metadata: Metadata;
  readonly #file: FileHandle;
  #sha256: Hash = createHash('sha256');
  /** Git's digest of a blob, where that is the content's name. */
  #git: Hash | null = null;
  #done = 0;

  private constructor(path: string, metadata: Metadata, file: FileHandle) {
    this.path = path;
    this.#metadata = metadata;
    this.#file = file;
    this.#forget();
  }

  /** What an earlier process left is read, so that its digests go on. */
  static async open(path: string, metadata: Metadata): Promise<Sink> {
    const there = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const goesOn = there > 0 && there <= metadata.size;
    const sink = new Sink(path, metadata, await open(path, goesOn ? 'r+' : 'w+'));
    if (goesOn) for await (const chunk of createReadStream(path)) sink.#count(chunk as Buffer);
    return sink;
  }

  get done(): number {
    return this.#done;
  }

  get missing(): number {
    return this.#metadata.size - this.#done;
  }

  #forget(): void {
    const { etag, size } = this.#metadata;
    this.#sha256 = createHash('sha256');
    this.#git = isGitSha1(etag) ? createHash('sha1').update(`blob ${size}\0`) : null;
    this.#done = 0;
  }

  #count(chunk: Uint8Array): void {
    this.#sha256.update(chunk);
    this.#git?.update(chunk);
    this.#done += chunk.length;
  }

  async write(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length;) {
      const at = this.#done + from;
      from += (await this.#file.write(chunk, from, chunk.length - from, at)).bytesWritten;
    }
    this.#count(chunk);
  }

  async restart(): Promise<void> {
    await this.#file.truncate(0);
    this.#forget();
  }

  /** The SHA-256 of the whole, if it is what it is called and what is expected; else null. */
  async seal(expected: string | null): Promise<string | null> {
    const { etag } = this.#metadata;
    const sha256 = this.#sha256.copy().digest('hex');
    const git = this.#git?.copy().digest('hex') ?? null;
    if (expected !== null && expected !== sha256) return null;
    if (isSha256(etag) && etag !== sha256) return null;
    if (git !== null && git !== etag) return null;
    await this.#file.sync();
    return sha256;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
