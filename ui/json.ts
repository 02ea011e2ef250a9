// Every event as one line of JSON, for programs. The union in schemas/event.ts is the format; changes are additive.

import type { Output } from './output.ts';
import type { Reporter } from './reporter.ts';

export const jsonReporter = (output: Output): Reporter => ({
  event: (event) => output.write(`${JSON.stringify(event)}\n`),
  close: async () => undefined,
});
