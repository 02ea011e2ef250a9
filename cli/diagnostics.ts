// Diagnostics on their way to a person: squiggles on stderr, annotations besides where GitHub reads along.

import type { Diagnostic } from '../schemas/diagnostic.ts';
import { annotation } from '../ui/github.ts';
import { diagnosticLines, diagnosticsText } from '../ui/squiggle.ts';
import type { CliContext } from './context.ts';

const annotate = (context: CliContext, diagnostics: readonly Diagnostic[]): void => {
  if (context.env['GITHUB_ACTIONS'] !== 'true') return;
  for (const diagnostic of diagnostics) context.stderr.write(`${annotation(diagnostic)}\n`);
};

/** With a last line that counts them and says what became of it. */
export const printDiagnostics = (
  context: CliContext,
  diagnostics: readonly Diagnostic[],
  ending: string,
): void => {
  const { stderr } = context;
  stderr.write(diagnosticsText(diagnostics, stderr.theme, ending));
  annotate(context, diagnostics);
};

/** Warnings of an experiment that goes on. */
export const printWarnings = (context: CliContext, warnings: readonly Diagnostic[]): void => {
  const { stderr } = context;
  for (const warning of warnings)
    stderr.write(`${diagnosticLines(warning, stderr.theme).join('\n')}\n`);
  annotate(context, warnings);
};

/** All problems of an experiment that can't run. */
export const printRefusal = (context: CliContext, diagnostics: readonly Diagnostic[]): void =>
  printDiagnostics(context, diagnostics, 'Nothing ran.');
