// The block that a failed step leaves on the screen: what, why, what to try, what was kept, what didn't start.

import type { EventOf, Failure } from '../schemas/event.ts';
import { duration, typedName } from './format.ts';
import type { Theme } from './theme.ts';

const tailLines = 12;

/** "E502 loss is NaN at step 317", "killed by SIGKILL". */
export const failureReason = (failure: Failure): string => {
  switch (failure.reason) {
    case 'error':
      return `${failure.code} ${failure.message}`;
    case 'crashed':
      return failure.signal === null
        ? `the step's process ended with exit code ${failure.exitCode ?? 'unknown'}`
        : `the step's process was killed by ${failure.signal}`;
    case 'timeout':
      return `not finished within its timeout of ${duration(failure.timeoutMs)}`;
    case 'storage':
      return failure.message;
  }
};

/** What the user can do, where it is known. */
export const failureHint = (failure: Failure): string | null => {
  switch (failure.reason) {
    case 'error':
    case 'storage':
      return failure.hint ?? null;
    case 'crashed':
      return failure.signal === 'SIGKILL'
        ? 'the system kills what needs more memory than there is: a smaller model, dtype or batch, or fewer --jobs'
        : null;
    case 'timeout':
      return 'raise the step’s "timeout" or leave it out; the next run goes on from the last checkpoint';
  }
};

const logTail = (failure: Failure): readonly string[] =>
  failure.reason === 'storage' ? [] : failure.logTail.slice(-tailLines);

export const failureBlock = (
  failed: EventOf<'step-failed'>,
  context: { readonly run: string; readonly notStarted: readonly string[] },
  theme: Theme,
): string[] => {
  const { failure } = failed;
  const lines = [
    `${theme.failed('✘')} ${theme.bold(failed.step)} ${theme.failed('failed')} after ${duration(failed.durationMs)}`,
    ...failureReason(failure)
      .split('\n')
      .map((line) => `  ${line}`),
  ];
  const tail = logTail(failure);
  if (tail.length > 0) {
    lines.push(
      theme.dim(
        `  last lines of the log (all of it: mesa show ${context.run}/${typedName(failed.step)} --log)`,
      ),
    );
    lines.push(...tail.map((line) => theme.dim(`    ${line}`)));
  }
  const hint = failureHint(failure);
  if (hint !== null) lines.push(`  ${theme.bold('try:')}    ${hint}`);
  if (failed.kept !== undefined)
    lines.push(`  ${theme.bold('kept:')}   ${failed.kept}; the same command goes on from it`);
  const { notStarted } = context;
  if (notStarted.length > 0) {
    const names = notStarted.slice(0, 6).join(', ') + (notStarted.length > 6 ? ', …' : '');
    lines.push(
      theme.dim(
        `  ${notStarted.length} ${notStarted.length === 1 ? 'step' : 'steps'} not started: ${names}`,
      ),
    );
  }
  return lines;
};
