// steps/closures.json: which modules each version of a built-in step stands for.
//   node dist/scripts/closures.js --check   says what changed since it was recorded (exit 1)
//   node dist/scripts/closures.js --write   records it: the author's word that the bytes a step writes are the same,
//                                           or that its version was raised
//   node dist/scripts/closures.js --built   for the build: from which sources the compiled modules were made

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeLayout } from '../cli/code.ts';
import { BUILT, RECORDED } from '../engine/code-digest.ts';
import { builtClosures, changedClosures, currentClosures } from '../engine/closures.ts';
import { registry } from '../steps/index.ts';

const write = (path: string, value: object): void => {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
};

const { packageRoot, codeRoot } = codeLayout;
const recordedPath = join(packageRoot, RECORDED);
switch (process.argv[2]) {
  case '--write':
    write(recordedPath, currentClosures(packageRoot, registry));
    break;
  case '--built':
    if (codeRoot !== packageRoot) write(join(codeRoot, BUILT), builtClosures(codeLayout, registry));
    break;
  case '--check': {
    const recorded = JSON.parse(readFileSync(recordedPath, 'utf8')) as ReturnType<
      typeof currentClosures
    >;
    const problems = changedClosures(recorded, currentClosures(packageRoot, registry));
    for (const problem of problems) console.error(problem);
    process.exitCode = problems.length > 0 ? 1 : 0;
    break;
  }
  default:
    console.error('usage: closures --check | --write | --built');
    process.exitCode = 2;
}
