// What is wrong with the YAML itself, in words for somebody who has never read its specification.

import type { YAMLError } from 'yaml';
import type { Problems } from './problems.ts';
import type { Source } from './source.ts';
import type { Trap } from './yaml-traps.ts';

/** What the library says, in words for somebody who sees only his file. */
const plainWords: readonly (readonly [RegExp, string, string])[] = [
  [/^Flow map in block/u, 'a { further up is not closed', 'close it with }'],
  [/^Flow sequence in block/u, 'a [ further up is not closed', 'close it with ]'],
  [/^Expected flow map to end/u, 'a { is not closed', 'close it with }'],
  [/^Expected flow sequence to end/u, 'a [ is not closed', 'close it with ]'],
  [/^Missing closing "/u, 'a " is not closed', 'close it with "'],
  [/^Missing closing '/u, "a ' is not closed", "close it with '"],
  [
    /^All mapping items must start/u,
    'this line begins in another column than the keys around it',
    'the keys of one map begin in the same column',
  ],
  [
    /^All sequence items must start/u,
    'this line begins in another column than the items around it',
    'the items of one list begin in the same column',
  ],
  [
    /^Nested mappings are not allowed/u,
    'a key and a value where a value is expected',
    'text with ": " in it needs quotes; a map begins on a line of its own',
  ],
  [
    /^Implicit keys need to be on a single line/u,
    'a key without a value, or text that goes on where a key should begin',
    'write `key: value`, with a space after the colon',
  ],
  [/^Implicit map keys need to be followed/u, 'a key without a colon', 'write `key: value`'],
  [/^Map keys must be unique/u, 'a key stands twice', 'keep one of the two'],
  [/^Tabs are not allowed/u, 'a tab where YAML wants spaces', 'indent with spaces'],
  [
    /^Missing , (?:or : )?between flow/u,
    'a comma is missing',
    'put a comma between the items; text with a comma, bracket or ": " in it needs quotes',
  ],
];

const yamlHints: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'indent with spaces',
  BAD_INDENT: 'items of one map or list begin in the same column',
  BLOCK_AS_IMPLICIT_KEY: 'a line is indented too far, or a value with ": " in it needs quotes',
  MISSING_CHAR: 'a bracket, comma or quote is missing',
  BAD_SCALAR_START: 'text that begins with @, `, % or another sign of YAML needs quotes',
  UNEXPECTED_TOKEN: 'put quotes around text that holds signs of YAML, such as ": " or " #"',
  BAD_DQ_ESCAPE: 'inside double quotes write \\\\ for a backslash, or use single quotes',
};

/** Errors after the first are mostly its echoes: one for each distance of more than a few lines would be a guess. */
export const reportSyntax = (
  errors: readonly YAMLError[],
  source: Source,
  problems: Problems,
): void => {
  const first = errors.toSorted((a, b) => a.pos[0] - b.pos[0])[0];
  if (first === undefined) return;
  const known = plainWords.find(([pattern]) => pattern.test(first.message));
  const message = known?.[1] ?? `YAML: ${first.message.replace(/\.$/u, '')}`;
  const hint = known?.[2] ?? yamlHints[first.code];
  // An indentation is wrong where the text begins, not where the line does.
  const start = first.pos[0] + (/^[ \t]*/u.exec(source.text.slice(first.pos[0]))?.[0].length ?? 0);
  const word = /^[\w.-]*/u.exec(source.text.slice(start))?.[0].length ?? 0;
  const end = Math.max(first.pos[1], start + Math.max(word, 1));
  problems.add('E101', { source, start, end }, message, { hint });
};

export const reportTraps = (traps: readonly Trap[], source: Source, problems: Problems): void => {
  for (const { kind, start, end } of traps) {
    const written = source.text.slice(start, end);
    const what =
      kind === 'reference'
        ? 'inside { } and [ ] a reference needs quotes'
        : 'inside { } and [ ] a name with a selector needs quotes';
    const code = kind === 'reference' ? 'E102' : 'E103';
    problems.add(code, { source, start, end }, what, { hint: `write "${written}"` });
  }
};
