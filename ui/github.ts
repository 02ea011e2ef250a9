// GitHub Actions' own marks in the log: a foldable group per step, and an annotation per problem at its line.

import type { Diagnostic } from '../schemas/diagnostic.ts';
import { failureReason } from './failure.ts';
import type { Output } from './output.ts';
import type { Reporter } from './reporter.ts';

const escapeData = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const escapeProperty = (text: string): string =>
  escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** `::error file=...,line=...,col=...::message`. */
export const annotation = (diagnostic: Diagnostic): string => {
  const { location } = diagnostic;
  const properties: [string, string][] = [
    ...(location === undefined
      ? []
      : ([
          ['file', location.file],
          ['line', String(location.start.line)],
          ['col', String(location.start.column)],
        ] satisfies [string, string][])),
    ['title', diagnostic.code],
  ];
  const marks = properties.map(([name, value]) => `${name}=${escapeProperty(value)}`).join(',');
  const hint = diagnostic.hint === undefined ? '' : ` (${diagnostic.hint})`;
  return `::${diagnostic.severity} ${marks}::${escapeData(diagnostic.message + hint)}`;
};

/**
 * Wraps the plain lines. Steps overlap in time and groups can't, so a group is opened for a step only while it runs
 * alone; failures become annotations whatever else is going on.
 */
export const githubReporter = (output: Output, inner: Reporter): Reporter => {
  const running = new Set<string>();
  let open = false;
  const closeGroup = (): void => {
    if (open) output.write('::endgroup::\n');
    open = false;
  };
  return {
    event: (event) => {
      if (event.event === 'step-started') {
        running.add(event.step);
        closeGroup();
        if (running.size === 1) {
          output.write(`::group::${escapeData(event.step)}\n`);
          open = true;
        }
      }
      inner.event(event);
      const ended =
        event.event === 'step-finished' ||
        event.event === 'step-failed' ||
        event.event === 'step-interrupted';
      if (ended) {
        running.delete(event.step);
        closeGroup();
      }
      if (event.event === 'step-failed' && !event.willRetry)
        output.write(
          `::error title=${escapeProperty(`${event.step} failed`)}::${escapeData(failureReason(event.failure))}\n`,
        );
      if (event.event === 'warning') output.write(`${annotation(event.diagnostic)}\n`);
      if (event.event === 'run-finished') closeGroup();
    },
    close: () => inner.close(),
  };
};
