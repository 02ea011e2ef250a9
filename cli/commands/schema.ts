// `mesa schema`: the JSON Schema of experiment files, for editors.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { CommandAction } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { packageRoot } from '../package-root.ts';

export const experimentSchemaFile = path.join(
  packageRoot,
  'schemas',
  'generated',
  'experiment.schema.json',
);

export const execute: CommandAction = async (context) => {
  context.stdout.write(readFileSync(experimentSchemaFile, 'utf8'));
  return exitCodes.ok;
};
