// The sources of a dataset that lie on the hub, with their files on this machine.

import type { HubFiles, StepContext } from '../../engine/step.ts';
import type { MixSource, Origin, Source } from '../../datasets/load.ts';
import { placeHubFiles } from '../hub-files.ts';

/** Files of one dataset may stand in for those of another only in the order of the requests: `pinned` is used up. */
const placeOrigin = async (
  context: StepContext,
  origin: Origin,
  pinned: HubFiles[],
): Promise<Origin> => {
  if (origin.kind === 'mix') {
    const parts: MixSource[] = [];
    for (const part of origin.parts)
      parts.push({ ...part, origin: await placeOrigin(context, part.origin, pinned) });
    return { ...origin, parts };
  }
  if (origin.kind !== 'hub') return origin;
  const locked = pinned.shift();
  if (locked?.id !== origin.id) throw new Error(`${origin.id} is not locked`);
  const files = await placeHubFiles(context, locked);
  return { ...origin, revision: locked.revision, files };
};

/** The source with all its files in place. */
export const placeSource = async (context: StepContext, source: Source): Promise<Source> => ({
  ...source,
  origin: await placeOrigin(context, source.origin, [...context.hub]),
});
