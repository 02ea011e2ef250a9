// A file's bytes -> text -> a tree of nodes with places, or everything that is wrong with the text. Nothing in a document
// is evaluated, and its size is bounded.

import type { Problems } from './problems.ts';
import type { Source } from './source.ts';
import { parseWithLibrary } from './yaml-library.ts';
import type { YamlNode } from './yaml-node.ts';
import { readPlainYaml } from './yaml-plain.ts';

/** 16 MiB: ten times an experiment of 10,000 steps. */
const maxBytes = 16 * 2 ** 20;

/** Bytes of a file as text, or a diagnostic. */
export const decodeUtf8 = (
  bytes: Uint8Array,
  source: Omit<Source, 'text'>,
  problems: Problems,
): Source | null => {
  const empty: Source = { ...source, text: '' };
  if (bytes.byteLength > maxBytes) {
    problems.add(
      'E111',
      { source: empty, start: 0, end: 0 },
      `the file has ${bytes.byteLength} bytes; the limit is ${maxBytes}`,
      {
        hint: 'an experiment file holds steps, not data: put rows into a file of their own and load them',
      },
    );
    return null;
  }
  const utf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  try {
    if (utf16) throw new TypeError('UTF-16');
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { ...source, text };
  } catch {
    const hint = 'save it as UTF-8';
    problems.add(
      'E109',
      { source: empty, start: 0, end: 0 },
      utf16 ? 'the file is UTF-16, not UTF-8' : 'the file is not UTF-8 text',
      { hint },
    );
    return null;
  }
};

/** The root of the document, or null where the text is no YAML that could be analysed further. */
export const parseYaml = (source: Source, problems: Problems): YamlNode | null =>
  readPlainYaml(source) ?? parseWithLibrary(source, problems);
