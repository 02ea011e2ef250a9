// What is wrong with data, as far as its reader can foresee it. Steps turn it into a failed step with its code.

export class DataError extends Error {
  override readonly name = 'DataError';
  /** `E54x`: reading; `E55x`: selecting; `E56x`: making prompts. */
  readonly code: string;
  readonly hint: string | undefined;
  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** ` (did you mean "question"?)`, or nothing. */
export const didYouMean = (name: string, known: readonly string[]): string => {
  const near = known
    .map((candidate) => ({
      candidate,
      distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return near === undefined ? '' : ` (did you mean ${JSON.stringify(near.candidate)}?)`;
};

const editDistance = (a: string, b: string): number => {
  let former = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (former[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (former[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    former = current;
  }
  return former[b.length] ?? 0;
};
