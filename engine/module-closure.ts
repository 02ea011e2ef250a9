// A module and everything it loads, as one digest: what "the code of a step" is. Specifiers are found by pattern, not by
// parsing, and rather one too many (in a comment) than one too few: a digest that changes too often costs time, one that
// doesn't change gives wrong results. What a module computes the name of is not followed.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { hashCanonical } from './canonical.ts';
import { digestOf, stampOf, type ContentDigest } from './digest.ts';

const TYPE_ONLY = /\b(?:import|export)\s+type\s+[^'";]*?\bfrom\s*(['"])[^'"\n]+\1/g;
const SPECIFIERS = [
  /\bfrom\s*(['"])([^'"\n]+)\1/g,
  /\bimport\s*(['"])([^'"\n]+)\1/g,
  /\b(?:import|require)\s*\(\s*(['"`])([^'"`\n$]+)\1/g,
  /\bnew\s+URL\(\s*(['"])(\.[^'"\n]+)\1\s*,\s*import\.meta\.url/g,
];

/** What a module's text imports, types left out. */
export const specifiersOf = (text: string): readonly string[] => {
  const runtime = text.replaceAll(TYPE_ONLY, '');
  const found = SPECIFIERS.flatMap((pattern) =>
    [...runtime.matchAll(pattern)].flatMap((match) => match[2] ?? []),
  );
  return [...new Set(found)].sort();
};

export interface Closure {
  readonly digest: ContentDigest;
  /** Absolute paths, in the order they were found. */
  readonly files: readonly string[];
  /** `name@version`, sorted. */
  readonly packages: readonly string[];
}

const builtin = new Set(builtinModules);

const packageName = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** name@version of an installed package, as Node would find it from `folder`. */
const packageVersion = (name: string, folder: string): string => {
  for (let at = folder; ; at = dirname(at)) {
    const path = join(at, 'node_modules', name, 'package.json');
    if (existsSync(path)) {
      const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version?: string };
      return `${name}@${version ?? '?'}`;
    }
    if (dirname(at) === at) return `${name}@?`;
  }
};

export interface ClosureOptions {
  /** Modules whose change doesn't change what a step writes (MESA's engine, schemas, ui). */
  readonly excluded: (path: string) => boolean;
  /** Folder that names are relative to, so that a project may move. */
  readonly base: string;
}

export const moduleClosure = (module: string, options: ClosureOptions): Closure => {
  const files = new Map<string, ContentDigest>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (files.has(path) || options.excluded(path)) return;
    const content = readFileSync(path);
    files.set(path, digestOf(content));
    if (!/\.(?:[cm]?[jt]s|tsx|jsx)$/.test(path)) return;
    for (const specifier of specifiersOf(content.toString('utf8'))) {
      if (/^(?:\.\.?\/|\/)/.test(specifier)) {
        const target = resolve(dirname(path), specifier);
        if (statSync(target, { throwIfNoEntry: false })?.isFile() === true) visit(target);
      } else if (
        /^[@a-z]/.test(specifier) &&
        !specifier.includes(':') &&
        !builtin.has(packageName(specifier))
      ) {
        packages.add(packageVersion(packageName(specifier), dirname(path)));
      }
    }
  };
  visit(module);
  const named = [...files].map(([path, digest]) => [
    relative(options.base, path).replaceAll('\\', '/'),
    digest,
  ]);
  const sorted = named.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  const list = [...packages].sort();
  const digest = hashCanonical('module-closure', [sorted, list]) as ContentDigest;
  return { digest, files: [...files.keys()], packages: list };
};

/** Memory for closures: a closure is known again by the stamps of its files. */
export interface ClosureMemory {
  get(module: string): string | undefined;
  set(module: string, body: string): void;
}

interface Remembered {
  readonly digest: ContentDigest;
  readonly stamps: readonly (readonly [path: string, stamp: string])[];
}

const stampNow = (path: string): string | null => {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : stampOf(stat);
};

/** The digest of a closure, from memory where no file of it changed. */
export const closureDigest = (
  module: string,
  options: ClosureOptions,
  memory: ClosureMemory,
): ContentDigest => {
  const known = memory.get(module);
  if (known !== undefined) {
    const { digest, stamps } = JSON.parse(known) as Remembered;
    if (stamps.every(([path, stamp]) => stampNow(path) === stamp)) return digest;
  }
  const { digest, files } = moduleClosure(module, options);
  const stamps = files.map((path) => [path, stampNow(path) ?? ''] as const);
  memory.set(module, JSON.stringify({ digest, stamps } satisfies Remembered));
  return digest;
};
