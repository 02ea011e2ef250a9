// Templates in the experiment file: Jinja that sees the row and nothing else (no clock, no files, no environment).
// A name that is neither a column nor set in the template is an error: an empty prompt must not go unnoticed.

import * as library from '@huggingface/jinja';
import { DataError, didYouMean } from '../error.ts';
import type { SourceRow } from '../row.ts';

/** What is used of the library; its own declarations don't resolve under nodenext's rules. */
interface Environment {
  set(name: string, value: unknown): void;
}
type Program = object;
const { Environment, Interpreter, parse, tokenize } = library as unknown as {
  readonly Environment: new () => Environment;
  readonly Interpreter: new (environment: Environment) => {
    run(program: Program): { readonly value: unknown };
  };
  readonly parse: (tokens: object) => Program;
  readonly tokenize: (template: string, options: object) => object;
};

export interface CompiledTemplate {
  render(row: SourceRow): string;
}

const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

const range = (start: number, stop?: number, step = 1): number[] => {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!Number.isFinite(length)) throw new DataError('E563', 'range: the step is 0');
  return Array.from({ length }, (_, index) => from + index * step);
};

const KNOWN = new Set([...Object.keys(CONSTANTS), 'range', 'loop', 'namespace', 'caller']);

interface Node {
  readonly type?: unknown;
  readonly value?: unknown;
}
const isNode = (value: unknown): value is Node & Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Fields of syntax nodes whose identifiers are no variables: attributes, filters, tests, argument names. */
const isName = (parent: Record<string, unknown>, field: string): boolean =>
  (parent['type'] === 'MemberExpression' && field === 'property' && parent['computed'] !== true) ||
  (parent['type'] === 'FilterExpression' && field === 'filter') ||
  (parent['type'] === 'TestExpression' && field === 'test') ||
  (parent['type'] === 'KeywordArgumentExpression' && field === 'key');

/** Identifiers used, and those bound by `set`, `for`, or a macro. */
const namesIn = (program: Program): string[] => {
  const used = new Set<string>();
  const bound = new Set<string>();
  const bind = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(bind);
    else if (isNode(value)) {
      if (value.type === 'Identifier') bound.add(String(value.value));
      else if (value.type === 'TupleLiteral' || value.type === 'ArrayLiteral') bind(value.value);
    }
  };
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      value.forEach(visit);
      return;
    }
    if (value instanceof Map) {
      for (const [key, entry] of value) {
        visit(key);
        visit(entry);
      }
      return;
    }
    if (!isNode(value)) return;
    if (value.type === 'Identifier') used.add(String(value.value));
    if (value.type === 'Set') bind(value['assignee']);
    if (value.type === 'For') bind(value['loopvar']);
    if (value.type === 'Macro') {
      bind(value['name']);
      bind(value['args']);
    }
    for (const [field, child] of Object.entries(value)) {
      if (isName(value, field)) {
        // A filter or test with arguments is a call whose callee is its name.
        if (isNode(child) && child['type'] === 'CallExpression') visit(child['args']);
        continue;
      }
      visit(child);
    }
  };
  visit(program);
  return [...used].filter((name) => !bound.has(name) && !KNOWN.has(name));
};

/** `columns`: all that any row has; a row may lack some of them (`is defined` then tells). */
export const compileTemplate = (
  source: string,
  what: string,
  columns: readonly string[],
): CompiledTemplate => {
  let program: Program;
  try {
    // Jinja's own defaults: line breaks after blocks stay (chat templates are read otherwise).
    program = parse(tokenize(source, { lstrip_blocks: false, trim_blocks: false }));
  } catch (cause) {
    throw new DataError('E563', `template ${what}: ${(cause as Error).message}`);
  }
  const free = namesIn(program);
  const unknown = free.find((name) => !columns.includes(name));
  if (unknown !== undefined) {
    throw new DataError(
      'E563',
      `template ${what} uses ${JSON.stringify(unknown)}, which is no column${didYouMean(unknown, columns)}`,
      `Columns: ${columns.join(', ')}`,
    );
  }
  return {
    render: (row) => {
      const environment = new Environment();
      for (const [name, value] of Object.entries({ ...CONSTANTS, range })) {
        environment.set(name, value);
      }
      for (const name of free) if (Object.hasOwn(row, name)) environment.set(name, row[name]);
      try {
        return String(new Interpreter(environment).run(program).value);
      } catch (cause) {
        if (cause instanceof DataError) throw cause;
        throw new DataError('E563', `template ${what}: ${(cause as Error).message}`);
      }
    },
  };
};
