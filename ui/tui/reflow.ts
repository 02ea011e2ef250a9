// A terminal made narrower wraps the lines that were drawn for its former width, and Ink, which counts lines as it
// wrote them, would leave the surplus behind. How many there are follows from the last frame.

import stringWidth from 'string-width';
import type { Frame } from './frame.ts';

/** Lines that a frame drawn for a wider terminal takes up beyond its own once each is wrapped at `columns`. */
export const surplusLines = (frame: Frame, drawnFor: number, columns: number): number => {
  if (columns >= drawnFor || columns < 1) return 0;
  // The panel's box is as wide as the terminal was, its borders included.
  const boxed =
    frame.panel.length === 0 ? [] : Array<number>(frame.panel.length + 2).fill(drawnFor);
  const widths = [...frame.steps.map(wide), ...boxed, wide(frame.footer)];
  return widths.reduce((sum, width) => sum + Math.max(0, Math.ceil(width / columns) - 1), 0);
};

const wide = (line: string): number => stringWidth(line);

/** xterm and the Linux console cut lines instead of wrapping them again; all other common terminals wrap. */
export const wrapsAgain = (env: Readonly<NodeJS.ProcessEnv>): boolean =>
  env['XTERM_VERSION'] === undefined && env['TERM'] !== 'linux';

/** Erases the line the cursor is on and moves up, so often. */
export const eraseUp = (lines: number): string => '\u001b[2K\u001b[1A'.repeat(lines);
