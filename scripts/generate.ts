// Writes what is made from the sources and committed all the same: the JSON Schema of experiment files, for editors.
// `--check` writes nothing and fails where a committed file is not what would be written.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { format } from 'prettier';
import { experimentSchema } from '../schemas/experiment.ts';
import { registry } from '../steps/index.ts';

const findRoot = (): string => {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
};

const root = findRoot();

const schemaOfExperiments = (): string => {
  const types = registry.names.flatMap((name) => {
    const definition = registry.get(name);
    if (definition === undefined) return [];
    const inputs = Object.entries(definition.inputs).map(([port, { kind, many, optional }]) => {
      const kinds = typeof kind === 'string' ? kind : kind.join(' or ');
      const notes = [
        many === true ? 'one or more' : '',
        optional === true ? 'optional' : '',
      ].filter((note) => note !== '');
      return [port, notes.length === 0 ? kinds : `${kinds} (${notes.join(', ')})`] as const;
    });
    return [
      {
        name,
        summary: definition.summary,
        params: definition.params,
        inputs: Object.fromEntries(inputs),
      },
    ];
  });
  return JSON.stringify(experimentSchema(types));
};

/** Path from the root -> content. A generated file is one entry. */
const generated: Readonly<Record<string, () => string>> = {
  'schemas/generated/experiment.schema.json': schemaOfExperiments,
};

const check = process.argv.includes('--check');
let drifted = 0;
for (const [path, make] of Object.entries(generated)) {
  const file = join(root, path);
  const content = await format(make(), { filepath: file });
  const committed = existsSync(file) ? readFileSync(file, 'utf8') : null;
  if (committed === content) continue;
  if (check) {
    drifted += 1;
    console.error(
      `${relative(root, file)} is not what the sources say: run \`npm run generate\` and commit it`,
    );
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    console.log(`wrote ${relative(root, file)}`);
  }
}
if (drifted > 0) process.exitCode = 1;
