// `where`: declared conditions on rows, never code. A condition is a mapping; all of its entries must hold:
//   subject: Anatomy                      the column equals a value
//   cop: { in: [0, 1] }                   a test: eq ne in not_in lt lte gt gte length matches exists; all must hold
//   and: [..]   or: [..]   not: {..}      of conditions
// Numbers written as text (CSV) are compared as numbers where the other side is one. Nothing is less than null.

import { DataError } from './error.ts';
import {
  canonicalText,
  columnOf,
  isObject,
  type SourceRow,
  type Value,
  type ValueObject,
} from './row.ts';

export type Condition = ValueObject;
type Predicate = (row: SourceRow) => boolean;
type ValueTest = (value: Value | undefined) => boolean;

/** A problem in a condition, with its JSON pointer below `where`. */
export interface ConditionProblem {
  readonly pointer: string;
  readonly message: string;
}

const NUMERIC = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The value as it compares with `other`: a number where both are or can be. */
const asComparable = (value: Value | undefined, other: Value): Value | undefined =>
  typeof value === 'string' && typeof other === 'number' && NUMERIC.test(value.trim())
    ? Number(value)
    : value;

const equal = (value: Value | undefined, expected: Value): boolean =>
  canonicalText(asComparable(value, expected)) === canonicalText(expected);

const compare =
  (bound: Value, holds: (order: number) => boolean): ValueTest =>
  (value) => {
    const left = asComparable(value, bound);
    if (typeof left === 'number' && typeof bound === 'number') return holds(left - bound);
    if (typeof left === 'string' && typeof bound === 'string') {
      return holds(left < bound ? -1 : left > bound ? 1 : 0);
    }
    return false;
  };

const lengthOf = (value: Value | undefined): number | null => {
  if (typeof value === 'string') return [...value].length;
  if (Array.isArray(value)) return (value as readonly Value[]).length;
  return isObject(value) ? Object.keys(value).length : null;
};

class Problem extends Error {
  readonly pointer: string;
  constructor(pointer: string, message: string) {
    super(message);
    this.pointer = pointer;
  }
}

const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

const list = (value: Value, pointer: string): readonly Value[] => {
  if (Array.isArray(value)) return value as readonly Value[];
  throw new Problem(pointer, 'must be a list');
};

const bound = (value: Value, pointer: string): Value => {
  if (typeof value === 'number' || typeof value === 'string') return value;
  throw new Problem(pointer, 'must be a number or a text');
};

const TESTS: Readonly<Record<string, (argument: Value, pointer: string) => ValueTest>> = {
  eq: (argument) => (value) => equal(value, argument),
  ne: (argument) => (value) => !equal(value, argument),
  in: (argument, pointer) => {
    const members = list(argument, pointer);
    return (value) => members.some((member) => equal(value, member));
  },
  not_in: (argument, pointer) => {
    const members = list(argument, pointer);
    return (value) => !members.some((member) => equal(value, member));
  },
  lt: (argument, pointer) => compare(bound(argument, pointer), (order) => order < 0),
  lte: (argument, pointer) => compare(bound(argument, pointer), (order) => order <= 0),
  gt: (argument, pointer) => compare(bound(argument, pointer), (order) => order > 0),
  gte: (argument, pointer) => compare(bound(argument, pointer), (order) => order >= 0),
  length: (argument, pointer) => {
    const test = valueTest(argument, pointer);
    return (value) => {
      const length = lengthOf(value);
      return length !== null && test(length);
    };
  },
  matches: (argument, pointer) => {
    if (typeof argument !== 'string') throw new Problem(pointer, 'must be a regular expression');
    let expression: RegExp;
    try {
      expression = new RegExp(argument, 'u');
    } catch (cause) {
      throw new Problem(pointer, `is no regular expression: ${(cause as Error).message}`);
    }
    return (value) => typeof value === 'string' && expression.test(value);
  },
  exists: (argument, pointer) => {
    if (typeof argument !== 'boolean') throw new Problem(pointer, 'must be true or false');
    return (value) => (value !== undefined && value !== null && value !== '') === argument;
  },
};

const valueTest = (argument: Value, pointer: string): ValueTest => {
  if (!isObject(argument)) return (value) => equal(value, argument);
  const tests = Object.entries(argument).map(([name, operand]) => {
    const below = `${pointer}/${escapePointer(name)}`;
    const make = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
    if (make === undefined) {
      throw new Problem(below, `unknown test ${name}; there are ${Object.keys(TESTS).join(', ')}`);
    }
    return make(operand, below);
  });
  return (value) => tests.every((test) => test(value));
};

const predicate = (condition: Value, pointer: string): Predicate => {
  if (Array.isArray(condition)) {
    const all = (condition as readonly Value[]).map((part, index) =>
      predicate(part, `${pointer}/${String(index)}`),
    );
    return (row) => all.every((part) => part(row));
  }
  if (!isObject(condition)) throw new Problem(pointer, 'a condition is a mapping');
  const parts = Object.entries(condition).map(([name, argument]): Predicate => {
    const below = `${pointer}/${escapePointer(name)}`;
    if (name === 'and' || name === 'or') {
      const of = list(argument, below).map((part, index) =>
        predicate(part, `${below}/${String(index)}`),
      );
      return name === 'and'
        ? (row) => of.every((part) => part(row))
        : (row) => of.some((part) => part(row));
    }
    if (name === 'not') {
      const negated = predicate(argument, below);
      return (row) => !negated(row);
    }
    const test = valueTest(argument, below);
    return (row) => test(columnOf(row, name));
  });
  return (row) => parts.every((part) => part(row));
};

/** What is wrong with a condition; none for one that `compileCondition` takes. */
export const checkCondition = (condition: Value): ConditionProblem[] => {
  try {
    predicate(condition, '');
    return [];
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    return [{ pointer: cause.pointer, message: cause.message }];
  }
};

export const compileCondition = (condition: Value): Predicate => {
  const problem = checkCondition(condition)[0];
  if (problem !== undefined)
    throw new DataError('E550', `where${problem.pointer} ${problem.message}`);
  return predicate(condition, '');
};

/** Names of the columns a condition looks at. */
export const columnsOfCondition = (condition: Value): string[] => {
  if (Array.isArray(condition)) return (condition as readonly Value[]).flatMap(columnsOfCondition);
  if (!isObject(condition)) return [];
  return Object.entries(condition).flatMap(([name, argument]) =>
    name === 'and' || name === 'or' || name === 'not' ? columnsOfCondition(argument) : [name],
  );
};
