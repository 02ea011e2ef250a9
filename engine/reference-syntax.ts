// How references are written, and what an experiment file must not say: names of secrets, users in URLs.

import type { Place } from './source.ts';
import type { ScalarNode } from './yaml-node.ts';

export type ReferenceRoot = 'vars' | 'matrix' | 'env';

export interface Reference {
  readonly root: ReferenceRoot;
  readonly path: readonly string[];
  /** As written: `${vars.x}`. */
  readonly text: string;
}

export type Segment = string | Reference | { readonly malformed: string };

/** Text split at its references; null where it has none (and no escape), which is nearly always. */
export const parseReferences = (text: string): readonly Segment[] | null => {
  if (!text.includes('${')) return null;
  const segments: Segment[] = [];
  let plain = '';
  for (let i = 0; i < text.length;) {
    const at = text.indexOf('${', i);
    if (at === -1) {
      plain += text.slice(i);
      break;
    }
    if (at > i && text[at - 1] === '$') {
      plain += `${text.slice(i, at - 1)}\${`;
      i = at + 2;
      continue;
    }
    plain += text.slice(i, at);
    if (plain !== '') segments.push(plain);
    plain = '';
    const match = /^\$\{(vars|matrix|env)((?:\.[A-Za-z0-9_-]+)+)\}/u.exec(text.slice(at, at + 200));
    if (match === null) {
      const close = text.indexOf('}', at);
      const end = close === -1 ? text.length : close + (text[close + 1] === '}' ? 2 : 1);
      segments.push({ malformed: text.slice(at, end) });
      i = end;
    } else {
      const path = (match[2] ?? '').slice(1).split('.');
      segments.push({ root: match[1] as ReferenceRoot, path, text: match[0] });
      i = at + match[0].length;
    }
  }
  if (plain !== '') segments.push(plain);
  return segments;
};

/** The place of a part of a scalar, where the text stands in the file as it is. */
export const placeWithin = (node: ScalarNode, part: string): Place => {
  const at = node.source.text.slice(node.start, node.end).indexOf(part);
  if (at === -1) return node;
  return { source: node.source, start: node.start + at, end: node.start + at + part.length };
};

const secretName =
  /(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(?:_|$)|^PASS$/iu;
export const looksSecret = (name: string): boolean => secretName.test(name);

export const hasUserInfo = (text: string): boolean =>
  text.includes('://') && /[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+@/iu.test(text);

export const malformedHint = (text: string): string => {
  const inner = text.replaceAll(/[${}\s]/gu, '');
  if (/^(?:vars|matrix|env)(?:\.[A-Za-z0-9_-]+)+$/u.test(inner)) return `write \${${inner}}`;
  if (!text.endsWith('}')) return 'the closing } is missing';
  if (/^[A-Za-z0-9_-]+$/u.test(inner))
    return `write \${vars.${inner}}, \${matrix.${inner}} or \${env.${inner}}`;
  return 'a reference is ${vars.name}, ${matrix.axis} or ${env.NAME}; for the text "${" write "$${"';
};
