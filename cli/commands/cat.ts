// `mesa cat RUN/STEP[.OUTPUT]`: rows as lines of JSON, or the document where there are none. For jq and other programs.

import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { didYouMean } from '../../engine/suggest.ts';
import { textOption, type CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { findArtifact, openProjectHere } from '../results.ts';

/** Rows first; else the artifact's only, or first, JSON document. */
const mainFile = (names: readonly string[]): string | undefined =>
  names.find((name) => name === 'rows.jsonl') ??
  names.find((name) => name.endsWith('.json') && !name.startsWith('tokenizer'));

export const execute: CommandAction = async (context, [text = ''], options) => {
  const project = openProjectHere(context);
  if (!project.ok) return context.usage(project.error.message, project.error.hint);
  const found = await findArtifact(project.value, text);
  if (!found.ok) return context.usage(found.error.message, found.error.hint);
  const { names } = found.value.artifact;
  const wanted = textOption(options, 'file');
  if (wanted !== undefined && !names.includes(wanted))
    return context.usage(
      `${text} has no file "${wanted}"`,
      didYouMean(wanted, names) ?? `its files are ${names.join(', ')}`,
    );
  const name = wanted ?? mainFile(names);
  if (name === undefined)
    return context.usage(
      `${text} has neither rows nor a document`,
      `--file is one of ${names.join(', ')}`,
    );
  await pipeline(createReadStream(found.value.artifact.file(name)), process.stdout, { end: false });
  project.value.close();
  return exitCodes.ok;
};
