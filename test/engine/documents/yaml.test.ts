// Reading YAML: the plain reader agrees with the library, traps are found, nothing makes the reader throw.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeUtf8, parseYaml } from '../../../engine/document.ts';
import { Problems } from '../../../engine/problems.ts';
import type { Source } from '../../../engine/source.ts';
import { parseWithLibrary } from '../../../engine/yaml-library.ts';
import { toJson, type YamlNode } from '../../../engine/yaml-node.ts';
import { readPlainYaml } from '../../../engine/yaml-plain.ts';
import { yamlText } from './arbitraries.ts';

const sourceOf = (text: string): Source => ({
  kind: 'file',
  path: '/x.yaml',
  shown: 'x.yaml',
  folder: '/',
  text,
  order: 0,
});

/** Everything a tree says but its file. The end of a block collection is where its last value ends, by both. */
const outline = (node: YamlNode): unknown => {
  switch (node.kind) {
    case 'scalar':
      return node.raw === '' && !node.quoted
        ? 'nothing'
        : [node.value, node.raw, node.quoted, node.start, node.end];
    case 'seq':
      return { start: node.start, items: node.items.map(outline) };
    case 'map':
      return {
        start: node.start,
        entries: node.entries.map((entry) => [outline(entry.key), outline(entry.value)]),
      };
  }
};

const agree = (text: string): boolean => {
  const source = sourceOf(text);
  const plain = readPlainYaml(source);
  if (plain === null) return false;
  const problems = new Problems();
  const whole = parseWithLibrary(source, problems);
  assert.deepEqual(problems.inFileOrder(), [], text);
  assert.notEqual(whole, null, text);
  if (whole !== null) assert.deepEqual(outline(plain), outline(whole), text);
  return true;
};

test('the plain reader gives the tree that the library gives', () => {
  let read = 0;
  fc.assert(
    fc.property(yamlText, (text) => {
      if (agree(text)) read += 1;
    }),
    { numRuns: 1500 },
  );
  // A reader that always gave up would agree too. Most texts hold something wild somewhere.
  assert.ok(read > 150, `only ${read} of 1500 were read`);
});

test('a damaged document is read the same or given up', () => {
  const signs = Array.from(':-{}[],#&*!|>\'"%@`?~ \n\tx1.<$\\');
  const edit = fc.record({
    at: fc.nat(),
    remove: fc.nat(3),
    insert: fc.string({ unit: fc.constantFrom(...signs), maxLength: 3 }),
  });
  fc.assert(
    fc.property(yamlText, fc.array(edit, { minLength: 1, maxLength: 3 }), (text, edits) => {
      const damaged = edits.reduce((current, { at, remove, insert }) => {
        const from = current.length === 0 ? 0 : at % current.length;
        return current.slice(0, from) + insert + current.slice(from + remove);
      }, text);
      agree(damaged);
    }),
    { numRuns: 3000 },
  );
});

test('no text makes the reader throw', () => {
  const unit = fc.oneof(
    fc.constantFrom(
      ...Array.from('{}[]:,-?&*!|>\'"%@`#~ \n\t$=\\'),
      '${',
      '${vars.a}',
      'a: ',
      '- ',
      'x[*]',
      '&a',
      '*a',
      '<<: ',
    ),
    fc.string({ maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 60 }), (text) => {
      const problems = new Problems();
      const node = parseYaml(sourceOf(text), problems);
      problems.inFileOrder();
      if (node !== null) toJson(node);
    }),
    { numRuns: 2000 },
  );
});

const read = (text: string): { readonly json: unknown; readonly codes: readonly string[] } => {
  const problems = new Problems();
  const node = parseYaml(sourceOf(text), problems);
  return {
    json: node === null ? null : toJson(node),
    codes: problems.inFileOrder().map(({ code }) => code),
  };
};

test('what was written over to read on comes back as it was written', () => {
  assert.deepEqual(read('a: { b: ${vars.x}, c: s[*], d: [${a.b}/x, t[r=8]] }'), {
    json: { a: { b: '${vars.x}', c: 's[*]', d: ['${a.b}/x', 't[r=8]'] } },
    codes: ['E102', 'E103', 'E102', 'E103'],
  });
});

test('names that look like numbers keep their text', () => {
  const problems = new Problems();
  for (const name of ['12e4567', '0x1F', '007', '1_000', '1.10', '1234567']) {
    const node = parseYaml(sourceOf(`a: ${name}`), problems);
    const value = node?.kind === 'map' ? node.entries[0]?.value : undefined;
    assert.equal(value?.kind === 'scalar' ? value.raw : null, name);
  }
});

test('aliases are shared, merged and bounded', () => {
  assert.deepEqual(read('a: &x { b: 1, c: 2 }\nd: *x\ne: { <<: *x, b: 3 }').json, {
    a: { b: 1, c: 2 },
    d: { b: 1, c: 2 },
    e: { b: 3, c: 2 },
  });
  const levels = Array.from(
    { length: 12 },
    (_, i) =>
      `x${i}: &x${i} [${Array(9)
        .fill(i === 0 ? 'y' : `*x${i - 1}`)
        .join(', ')}]`,
  );
  assert.deepEqual(read(levels.join('\n')).codes, ['E106']);
  assert.deepEqual(read('['.repeat(20_000)).codes, ['E106']);
});

test('what is no text of YAML is refused by its bytes', () => {
  const codesOf = (bytes: Uint8Array): readonly string[] => {
    const problems = new Problems();
    decodeUtf8(bytes, { kind: 'file', path: '/x', shown: 'x', folder: '/', order: 0 }, problems);
    return problems.inFileOrder().map(({ code }) => code);
  };
  assert.deepEqual(codesOf(new Uint8Array([0x61, 0xff])), ['E109']);
  assert.deepEqual(codesOf(new Uint8Array([0xff, 0xfe, 0x61, 0])), ['E109']);
  assert.deepEqual(codesOf(new Uint8Array(17 * 2 ** 20)), ['E111']);
  assert.deepEqual(codesOf(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])), []);
});
