// Plays recorded events on the live screen, faster than they came: `node dist/test/ui/play.js FILE [SPEED]`.
// For looking at the screen by eye, and for the tests that drive a real terminal.

import { readFileSync } from 'node:fs';
import type { RunEvent } from '../../schemas/event.ts';
import { screenReporter } from '../../ui/tui/screen.ts';
import { makeTheme } from '../../ui/theme.ts';

const [file = '', speed = '10'] = process.argv.slice(2);
const events = readFileSync(file, 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as RunEvent);
let at = events[0]?.at ?? 0;
const start = at;
const began = performance.now();
const stop = new AbortController();
const reporter = screenReporter({
  output: {
    write: (text) => void process.stderr.write(text),
    isTty: true,
    columns: () => process.stderr.columns,
    theme: makeTheme(process.env['NO_COLOR'] === undefined),
  },
  terminal: process.stderr,
  keyboard: process.stdin.isTTY ? process.stdin : null,
  controls: {
    interrupt: () => {
      stop.abort();
    },
  },
  now: () => start + (performance.now() - began) * Number(speed),
});
for (const event of events) {
  const wait = (event.at - at) / Number(speed);
  at = event.at;
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  if (stop.signal.aborted) break;
  reporter.event(event);
}
await reporter.close();
process.stdout.write('metric table would stand here\n');
process.exit(0);
