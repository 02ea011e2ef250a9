// What is wrong with a checkpoint, as far as its reader can foresee it: always the file, and the tensor where one is
// to blame. Steps turn it into a failed step; it knows nothing of them.

export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
  readonly file: string;
  readonly tensor: string | undefined;
  readonly hint: string | undefined;
  constructor(file: string, message: string, options: { tensor?: string; hint?: string } = {}) {
    super(
      options.tensor === undefined
        ? `${file}: ${message}`
        : `${file}: tensor ${options.tensor}: ${message}`,
    );
    this.file = file;
    this.tensor = options.tensor;
    this.hint = options.hint;
  }
}
