// One stream a person or a program reads: text goes in, and what may be known of the reader comes out.
// Reporters write to Outputs only, so tests read exactly what a user would see.

import { makeTheme, type Theme } from './theme.ts';

export interface Output {
  write(text: string): void;
  readonly isTty: boolean;
  /** Width to lay out for; null where the reader isn't a terminal and lines may be as long as they need. */
  columns(): number | null;
  readonly theme: Theme;
}

/** An Output that keeps what was written. */
export interface MemoryOutput extends Output {
  text(): string;
}

export const memoryOutput = (
  options: { readonly colour?: boolean; readonly columns?: number } = {},
): MemoryOutput => {
  let written = '';
  return {
    write: (text) => {
      written += text;
    },
    text: () => written,
    isTty: options.columns !== undefined,
    columns: () => options.columns ?? null,
    theme: makeTheme(options.colour ?? false),
  };
};
