// A repository of the hub, a revision of it, and a file in it: their names, and which names are refused.

import { HubError } from './error.ts';

export interface Repository {
  readonly type: 'model' | 'dataset';
  /** `organisation/name`, or `name` alone for the oldest ones. */
  readonly id: string;
}

/** As the hub's own rule: letters, digits, `-`, `_`, `.`; no part begins or ends with `-` or `.`. */
const ID = /^[\w](?:[\w.-]*\w)?(?:\/[\w](?:[\w.-]*\w)?)?$/u;

export const checkRepository = ({ type, id }: Repository): void => {
  if (ID.test(id) && id.length <= 96 && !id.includes('--') && !id.includes('..')) return;
  throw new HubError(
    'missing-repository',
    `${JSON.stringify(id)} can't be the name of a ${type} on the hub`,
    'it is written organisation/name, such as HuggingFaceTB/SmolLM2-135M-Instruct; for a folder on this machine use `source: path`',
  );
};

const hasControls = (text: string): boolean =>
  [...text].some((character) => (character.codePointAt(0) ?? 0) < 0x20);

/** Branches, tags, commits and `refs/pr/7`; nothing that leads out of the folder of references. */
export const checkRevision = (revision: string): void => {
  const parts = revision.split('/');
  const bad = parts.some((part) => part === '' || part === '.' || part === '..');
  if (!bad && !hasControls(revision) && !revision.includes('\\')) return;
  throw new HubError('missing-revision', `${JSON.stringify(revision)} is no revision`);
};

/** A path inside a repository that stays inside a folder when it is made a file there. */
export const isSafePath = (path: string): boolean =>
  !hasControls(path) &&
  !/[\\:]/u.test(path) &&
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/u.test(revision);

/** How a message calls it. */
export const called = ({ type, id }: Repository): string => `the ${type} ${id}`;

/** Its page, for people. */
export const pageOf = (endpoint: string, { type, id }: Repository): string =>
  type === 'model' ? `${endpoint}/${id}` : `${endpoint}/datasets/${id}`;
