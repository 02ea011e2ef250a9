// Text where a row's bits depend on its batch (on GPUs): groups are cut from the whole input, in its order, and a group is
// journaled when all of it is finished. So a resumed run has the batches of the uninterrupted one: what was finished is
// kept by whole groups, and rows of an unfinished group are done again together.

import {
  generateText,
  type TextOptions,
  type TextRequest,
  type TextResult,
} from '../../models/decode/text.ts';
import type { Runner } from '../../models/decode/runner.ts';

/** The groups that aren't wholly among the finished rows. `requests`: all there are, whatever is finished. */
export const groupsOf = <Request extends { readonly index: number }>(
  requests: readonly Request[],
  size: number,
  finished: { has(index: number): boolean },
): readonly (readonly Request[])[] =>
  Array.from({ length: Math.ceil(requests.length / size) }, (_, group) =>
    requests.slice(group * size, (group + 1) * size),
  ).filter((group) => !group.every(({ index }) => finished.has(index)));

type GroupOptions = Omit<TextOptions, 'onFinished' | 'onStep'> & {
  /** Tokens made so far in all groups. */
  readonly onTokens: (count: number) => void;
};

/** `finish` is called for all rows of a group, one after the other, when the last of them is done. */
export const generateGroups = async <Request extends TextRequest>(
  runner: Runner,
  groups: readonly (readonly Request[])[],
  { onTokens, ...options }: GroupOptions,
  finish: (request: Request, result: TextResult) => void,
): Promise<void> => {
  let before = 0;
  for (const group of groups) {
    const results = new Map<Request, TextResult>();
    let made = 0;
    await generateText(runner, group, {
      ...options,
      onStep: (generated) => {
        made = generated;
        onTokens(before + generated);
      },
      onFinished: (at, result) => {
        const request = group[at];
        if (request !== undefined) results.set(request, result);
      },
    });
    before += made;
    for (const [request, result] of results) finish(request, result);
  }
};
