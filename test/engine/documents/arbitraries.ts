// YAML texts as people write them, for property tests: nested maps and lists in block and flow style, with comments,
// quotes and the scalars that are easily taken for something else.

import fc from 'fast-check';

const tame = fc.constantFrom(
  ...[
    'a',
    'load-model',
    'org/model',
    '1',
    '-1',
    '0.5',
    '1e-4',
    '12e4567',
    '.5',
    '0x1F',
    '0o17',
    '007',
  ],
  ...[
    '1_000',
    '1.10',
    'true',
    'True',
    'no',
    'null',
    '~',
    '.inf',
    '.nan',
    '+1',
    'a b c',
    "it's",
    'a:b',
  ],
  ...['http://x.org/y', 'a#b', '2026-11-22', 'x=1', '$x', '$$', 'a-b', '6GiB', '-.5', 'a?b', 'x*y'],
);
const wild = fc.constantFrom(
  ...[
    '-',
    '--x',
    '${vars.a}',
    '$${b}',
    'ünï',
    'a[0]',
    'a{b}',
    '@x',
    '%y',
    '!z',
    '?',
    '? a',
    '- b',
    'a ',
  ],
  ...['', 'a: b', 'a:', 'a, b', '&x', '*x', '|', '-.inf', '<<', '=', 'a\tb'],
);
const plainScalar = fc.oneof({ weight: 25, arbitrary: tame }, { weight: 1, arbitrary: wild });
const quotedScalar = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      '"a"',
      "'a b'",
      '""',
      '"x: y # z"',
      '"${vars.a}"',
      "'it''s'",
      '"a[*]"',
    ),
  },
  fc
    .string({ unit: fc.constantFrom(...Array.from('ab {}[]:,#\'"\\${}ü')), maxLength: 8 })
    .map((text) => JSON.stringify(text)),
  fc
    .string({ unit: fc.constantFrom(...Array.from('ab {}[]:,#"\\ü')), maxLength: 8 })
    .map((text) => `'${text.replaceAll("'", "''")}'`),
  fc.constantFrom('"\\x41"', '"\\e"', "'it''s'", '"a\\\n  b"'),
);
const name = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom('a', 'b', 'uses', 'with', 'r', 'x-1', 'A.b', '1', 'null', '$schema'),
  },
  { weight: 1, arbitrary: fc.constantFrom('"q"', 'two words', '<<', '-', 'ä') },
);
const comment = fc.constantFrom('', '', '', ' # note', '  # a: b', ' #');

interface Layout {
  /** Lines below a key or dash, indented by the caller. */
  readonly lines: readonly string[];
  /** What may stand on the line of the key. */
  readonly inline: string | null;
}

const flow = fc.letrec<{ value: string; list: string; map: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    plainScalar,
    quotedScalar,
    tie('list'),
    tie('map'),
  ),
  list: fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
  map: fc
    .uniqueArray(fc.tuple(name, tie('value')), { maxLength: 3, selector: ([key]) => key })
    .map((pairs) => `{ ${pairs.map(([key, value]) => `${key}: ${value}`).join(', ')} }`),
}));

const indented = (lines: readonly string[], by: number): readonly string[] =>
  lines.map((line) => (line === '' ? '' : ' '.repeat(by) + line));

const block = fc.letrec<{ value: Layout; map: Layout; list: Layout }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc
      .tuple(fc.oneof(plainScalar, quotedScalar, flow.value), comment)
      .map(([text, note]) => ({ lines: [], inline: text + note })),
    tie('map'),
    tie('list'),
  ),
  map: fc
    .tuple(
      fc.uniqueArray(fc.tuple(name, tie('value'), comment), {
        minLength: 1,
        maxLength: 4,
        selector: ([key]) => key,
      }),
      fc.constantFrom(1, 2, 4),
      fc.constantFrom('', '# c'),
    )
    .map(([pairs, step, between]) => ({
      inline: null,
      lines: pairs.flatMap(([key, value, note]) => [
        ...(value.inline === null
          ? [`${key}:${note}`, ...indented(value.lines, step)]
          : [`${key}: ${value.inline}`]),
        ...(between === '' ? [] : [between]),
      ]),
    })),
  list: fc
    .tuple(fc.array(tie('value'), { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([items, compact]) => ({
      inline: null,
      lines: items.flatMap((item) => {
        if (item.inline !== null) return [`- ${item.inline}`];
        const [first, ...rest] = indented(item.lines, 2);
        return compact && first !== undefined
          ? [`- ${first.slice(2)}`, ...rest]
          : ['-', ...indented(item.lines, 2)];
      }),
    })),
}));

/** A document; mostly valid YAML, and mostly a map. */
export const yamlText: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: block.map }, { weight: 1, arbitrary: block.value }),
    fc.constantFrom('', '\n', '\n\n# end\n'),
  )
  .map(([layout, end]) => (layout.inline ?? layout.lines.join('\n')) + end);
