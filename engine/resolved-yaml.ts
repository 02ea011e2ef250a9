// `mesa check --resolved`: the resolved experiment as YAML, each value with a comment that says where it came from.

import { Document, isMap, isScalar, isSeq } from 'yaml';
import type { Resolved } from './resolved.ts';

const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

export const resolvedYaml = ({ value, origins }: Resolved): string => {
  const document = new Document(value);
  const comment = (node: unknown, pointer: string): void => {
    if (isMap(node)) {
      for (const { key, value: inner } of node.items) {
        comment(inner, `${pointer}/${escaped(String(isScalar(key) ? key.value : key))}`);
      }
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) comment(item, `${pointer}/${index}`);
    } else if (isScalar(node)) {
      const origin = origins[pointer];
      if (origin !== undefined) node.comment = ` from ${origin}`;
    }
  };
  comment(document.contents, '');
  return document.toString({ lineWidth: 0 });
};
