// Nothing while all goes well; a failed step's log and block when it doesn't. The result table follows either way.

import type { EventOf } from '../schemas/event.ts';
import { failureBlock } from './failure.ts';
import type { Output } from './output.ts';
import { stoppingText } from './plain.ts';
import type { Reporter } from './reporter.ts';

export const quietReporter = (output: Output): Reporter => {
  let run = 'last';
  const logs = new Map<string, string[]>();
  const failures: EventOf<'step-failed'>[] = [];
  const skipped: string[] = [];
  return {
    event: (event) => {
      switch (event.event) {
        case 'run-started':
          run = event.run;
          return;
        case 'step-started':
          logs.set(event.step, []);
          return;
        case 'step-log':
          logs.get(event.step)?.push(event.text);
          return;
        case 'step-finished':
          logs.delete(event.step);
          return;
        case 'step-failed':
          if (!event.willRetry) failures.push(event);
          return;
        case 'step-skipped':
          skipped.push(event.step);
          return;
        case 'run-stopping':
          output.write(`stopping: ${stoppingText(event)}\n`);
          return;
        case 'run-finished':
          for (const failed of failures) {
            for (const text of logs.get(failed.step) ?? [])
              output.write(`${failed.step} | ${text}\n`);
            output.write(
              `${failureBlock(failed, { run, notStarted: skipped }, output.theme).join('\n')}\n`,
            );
          }
          return;
        default:
          return;
      }
    },
    close: async () => undefined,
  };
};
