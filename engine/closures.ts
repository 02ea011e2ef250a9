// The author's side of code identity: closures of all built-in steps, and whether they are those on record.

import {
  builtinClosure,
  type BuiltClosures,
  type CodeLayout,
  type RecordedClosures,
} from './code-digest.ts';
import type { StepRegistry } from './step.ts';

/** Of the sources in `packageRoot`. */
export const currentClosures = (packageRoot: string, registry: StepRegistry): RecordedClosures =>
  Object.fromEntries(
    registry.names.toSorted().flatMap((type) => {
      const closure = builtinClosure(packageRoot, type);
      const version = registry.get(type)?.version;
      return closure === null || version === undefined
        ? []
        : [[type, { version, closure: closure.digest }] as const];
    }),
  );

/** What compiled modules were made from; right after a build. */
export const builtClosures = (layout: CodeLayout, registry: StepRegistry): BuiltClosures =>
  Object.fromEntries(
    registry.names.flatMap((type) => {
      const compiled = builtinClosure(layout.codeRoot, type);
      const source = builtinClosure(layout.packageRoot, type);
      return compiled === null || source === null
        ? []
        : [[type, { compiled: compiled.digest, source: source.digest }] as const];
    }),
  );

/** A sentence for every step whose modules are not those recorded for its version. */
export const changedClosures = (
  recorded: RecordedClosures,
  current: RecordedClosures,
): readonly string[] => {
  const changed = Object.entries(current).flatMap(([type, { version, closure }]) => {
    const known = recorded[type];
    if (known === undefined) return [`${type} has no recorded closure`];
    if (known.version !== version)
      return [`${type} is version ${version} now, ${known.version} is recorded`];
    return known.closure === closure
      ? []
      : [`the modules of ${type} changed: raise its version where it writes other bytes`];
  });
  const gone = Object.keys(recorded).filter((type) => !(type in current));
  const all = [...changed, ...gone.map((type) => `${type} is recorded and no longer there`)];
  return all.length === 0 ? [] : [...all, 'then record them: npm run closures'];
};
