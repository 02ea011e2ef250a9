// What stands for a step's code in its key. Built-in steps: `type@version` where their modules are those the author
// recorded for this version in steps/closures.json, with the digest appended where they aren't. Plugins: the digest.

import { existsSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { factsIn, type Sqlite } from './database.ts';
import type { ContentDigest } from './digest.ts';
import type { CodeOf } from './lookup.ts';
import {
  closureDigest,
  moduleClosure,
  type Closure,
  type ClosureMemory,
  type ClosureOptions,
} from './module-closure.ts';

/** steps/closures.json: type -> the version and the closure it stands for. */
export type RecordedClosures = Readonly<
  Record<string, { readonly version: number; readonly closure: string }>
>;

/** dist/steps/closures.built.json, written by the build: which sources the compiled modules were made from. */
export type BuiltClosures = Readonly<
  Record<string, { readonly compiled: string; readonly source: string }>
>;

export const RECORDED = join('steps', 'closures.json');
export const BUILT = join('steps', 'closures.built.json');

const readJson = (path: string): unknown =>
  existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};

export interface CodeLayout {
  /** Folder of MESA's package.json. */
  readonly packageRoot: string;
  /** Folder that holds engine/ and steps/ as they run: packageRoot, or dist/ in it. */
  readonly codeRoot: string;
}

/** Changes in these don't change what a step writes; what steps get from them is versioned by the interface. */
const OUTSIDE = ['engine', 'schemas', 'ui', 'cli'];

export const closureOptions = (codeRoot: string, base: string): ClosureOptions => {
  const outside = OUTSIDE.map((name) => join(codeRoot, name) + sep);
  return { base, excluded: (path) => outside.some((folder) => path.startsWith(folder)) };
};

/** Module of a built-in step: steps/<type>/step.ts or steps/<type>.ts, compiled or not. Null where there is none. */
export const builtinModule = (codeRoot: string, type: string): string | null => {
  const paths = ['.ts', '.js'].flatMap((extension) => [
    join(codeRoot, 'steps', type, `step${extension}`),
    join(codeRoot, 'steps', `${type}${extension}`),
  ]);
  return paths.find((path) => existsSync(path)) ?? null;
};

/** Null where the type has no module. */
export const builtinClosure = (codeRoot: string, type: string): Closure | null => {
  const module = builtinModule(codeRoot, type);
  return module === null ? null : moduleClosure(module, closureOptions(codeRoot, codeRoot));
};

/** Closures remembered in the cache, by module and the stamps of its files. */
export const closureMemory = (database: Sqlite): ClosureMemory => factsIn(database, 'closure');

/** Digest of a plugin's modules. Throws the file system's errors. */
export const pluginClosure = (
  layout: CodeLayout,
  module: string,
  memory: ClosureMemory,
): ContentDigest =>
  closureDigest(module, closureOptions(layout.codeRoot, join(module, '..')), memory);

export const codeIdentity = (layout: CodeLayout, database: Sqlite): CodeOf => {
  const memory = closureMemory(database);
  const compiled = layout.codeRoot !== layout.packageRoot;
  let recorded: RecordedClosures | null = null;
  let built: BuiltClosures | null = null;
  const known = new Map<string, string>();

  const builtin = (type: string, version: number): string => {
    const plain = `${type}@${version}`;
    const module = builtinModule(layout.codeRoot, type);
    if (module === null) return plain;
    recorded ??= readJson(join(layout.packageRoot, RECORDED)) as RecordedClosures;
    let digest: string = closureDigest(
      module,
      closureOptions(layout.codeRoot, layout.codeRoot),
      memory,
    );
    if (compiled) {
      built ??= readJson(join(layout.codeRoot, BUILT)) as BuiltClosures;
      // The compiled modules stand for the sources they were made from, as long as nobody touched them since.
      const origin = built[type];
      if (origin?.compiled === digest) digest = origin.source;
    }
    const stands = recorded[type];
    return stands?.version === version && stands.closure === digest ? plain : `${plain}+${digest}`;
  };

  return ({ plugin, uses, definition }) => {
    const name = plugin ?? uses;
    let code = known.get(name);
    if (code === undefined) {
      code =
        plugin === null
          ? builtin(uses, definition.version)
          : `plugin:${pluginClosure(layout, plugin, memory)}`;
      known.set(name, code);
    }
    return code;
  };
};
