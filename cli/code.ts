// Where MESA's own modules lie, for the engine to tell by them what code a step has.

import path from 'node:path';
import { codeIdentity, type CodeLayout } from '../engine/code-digest.ts';
import type { CodeOf } from '../engine/lookup.ts';
import type { Project } from '../engine/project.ts';
import { packageRoot } from './package-root.ts';

export const codeLayout: CodeLayout = {
  packageRoot,
  codeRoot: path.resolve(import.meta.dirname, '..'),
};

export const codeOfSteps = ({ database }: Project): CodeOf => codeIdentity(codeLayout, database);
