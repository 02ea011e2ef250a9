// Colours by meaning, not by name: green ok, cyan cached, yellow running, red failed, dim secondary, bold what you came
// for. Whether colour is used at all is decided once per stream by whoever makes the theme; a theme only paints.

import { styleText } from 'node:util';

type Paint = (text: string) => string;

export interface Theme {
  readonly colour: boolean;
  readonly ok: Paint;
  readonly cached: Paint;
  readonly running: Paint;
  readonly failed: Paint;
  readonly warning: Paint;
  readonly dim: Paint;
  readonly bold: Paint;
}

const plain: Paint = (text) => text;

const painted = (format: Parameters<typeof styleText>[0]): Paint => {
  // The stream was looked at already, so util must not look again.
  return (text) => (text === '' ? '' : styleText(format, text, { validateStream: false }));
};

export const makeTheme = (colour: boolean): Theme =>
  colour
    ? {
        colour,
        ok: painted('green'),
        cached: painted('cyan'),
        running: painted('yellow'),
        failed: painted('red'),
        warning: painted('yellow'),
        dim: painted('dim'),
        bold: painted('bold'),
      }
    : {
        colour,
        ok: plain,
        cached: plain,
        running: plain,
        failed: plain,
        warning: plain,
        dim: plain,
        bold: plain,
      };
