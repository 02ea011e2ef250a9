// Python's pickle as data: a stack machine that builds plain values and executes nothing. A global is a name; what
// may be called is decided by the caller's allow-list, and any other name ends the reading.
// Opcodes: CPython Lib/pickletools.py (protocols 2 to 5, as far as PyTorch writes them).

import { CheckpointError } from './error.ts';
import type { Cursor } from './cursor.ts';

export class PickleGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}
export class PickleTuple {
  readonly items: readonly PickleValue[];
  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}
export type PickleDict = Map<PickleValue, PickleValue>;
/** What a caller's `call` or `load` made; opaque to the machine. */
export interface PickleObject {
  readonly kind: string;
}
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | PickleValue[]
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | PickleObject;

export interface PickleRules {
  /** Whether a global may be named at all. */
  allows(name: string): boolean;
  /** What a global called with these arguments stands for; undefined: it must not be called. */
  call(name: string, args: readonly PickleValue[]): PickleValue | undefined;
  /** What a persistent id stands for. */
  load(id: PickleValue): PickleValue;
}

const mark = Symbol('mark');
type Slot = PickleValue | typeof mark;

/** Reads one pickle, up to and with its STOP. */
export const readPickle = (cursor: Cursor, rules: PickleRules): PickleValue => {
  const fail = (message: string): never => {
    throw new CheckpointError(cursor.file.path, `holds a pickle that ${message}`);
  };
  const stack: Slot[] = [];
  const memo = new Map<number, PickleValue>();
  const pop = (): PickleValue => {
    const value = stack.pop();
    return value === undefined || value === mark ? fail('is damaged (empty stack)') : value;
  };
  const top = (): PickleValue => {
    const value = stack.at(-1);
    return value === undefined || value === mark ? fail('is damaged (empty stack)') : value;
  };
  const toMark = (): PickleValue[] => {
    const at = stack.lastIndexOf(mark);
    if (at < 0) return fail('is damaged (no mark)');
    return stack.splice(at).slice(1) as PickleValue[];
  };
  const get = (index: number): PickleValue => {
    const value = memo.get(index);
    return value === undefined ? fail('is damaged (unknown memo)') : value;
  };
  const global = (name: string): PickleGlobal =>
    rules.allows(name)
      ? new PickleGlobal(name)
      : fail(`names ${name}, which is not allowed: reading it could run code`);
  const setItems = (target: PickleValue, items: readonly PickleValue[]): void => {
    if (!(target instanceof Map) || items.length % 2 !== 0) return fail('is damaged (no dict)');
    for (let i = 0; i < items.length; i += 2) target.set(items[i] ?? null, items[i + 1] ?? null);
  };
  const line = (what: string): string => {
    const bytes: number[] = [];
    for (let byte = cursor.u8(what); byte !== 10; byte = cursor.u8(what)) {
      bytes.push(byte);
      if (bytes.length > 1024) fail('is damaged (endless line)');
    }
    return new TextDecoder().decode(Uint8Array.from(bytes));
  };
  const bytes = (length: number): Uint8Array => {
    const view = cursor.take(length, 'a string');
    return new Uint8Array(view.buffer, view.byteOffset, length).slice();
  };
  const long = (length: number): number => {
    if (length > 16) return fail('holds an integer of more than 16 bytes');
    let value = 0n;
    for (const [i, byte] of bytes(length).entries()) value |= BigInt(byte) << BigInt(8 * i);
    return Number(BigInt.asIntN(8 * length, value));
  };
  const int64 = (what: string): number => cursor.size(what, 1);

  for (;;) {
    const opcode = String.fromCharCode(cursor.u8('an opcode'));
    switch (opcode) {
      case '\x80': // PROTO
        if (cursor.u8('the protocol') > 5) fail('has a newer protocol than 5');
        break;
      case '\x95': // FRAME
        cursor.take(8, 'a frame');
        break;
      case '.': {
        const value = pop();
        return stack.length === 0 ? value : fail('is damaged (values left over)');
      }
      case '(':
        stack.push(mark);
        break;
      case '0':
        if (stack.pop() === undefined) fail('is damaged (empty stack)');
        break;
      case '1':
        toMark();
        break;
      case '2':
        stack.push(top());
        break;
      case 'N':
        stack.push(null);
        break;
      case '\x88':
        stack.push(true);
        break;
      case '\x89':
        stack.push(false);
        break;
      case 'J':
        stack.push(cursor.take(4, 'an integer').getInt32(0, true));
        break;
      case 'K':
        stack.push(cursor.u8('an integer'));
        break;
      case 'M':
        stack.push(cursor.take(2, 'an integer').getUint16(0, true));
        break;
      case '\x8a':
        stack.push(long(cursor.u8('a length')));
        break;
      case '\x8b':
        stack.push(long(cursor.u32('a length')));
        break;
      case 'G':
        stack.push(cursor.take(8, 'a float').getFloat64(0));
        break;
      case 'X':
        stack.push(cursor.text(cursor.u32('a length'), 'a string'));
        break;
      case '\x8c':
        stack.push(cursor.text(cursor.u8('a length'), 'a string'));
        break;
      case '\x8d':
        stack.push(cursor.text(int64('a length'), 'a string'));
        break;
      case 'T':
        stack.push(cursor.text(cursor.u32('a length'), 'a string'));
        break;
      case 'U':
        stack.push(cursor.text(cursor.u8('a length'), 'a string'));
        break;
      case 'B':
        stack.push(bytes(cursor.u32('a length')));
        break;
      case 'C':
        stack.push(bytes(cursor.u8('a length')));
        break;
      case '\x8e':
        stack.push(bytes(int64('a length')));
        break;
      case '}':
        stack.push(new Map());
        break;
      case ']':
        stack.push([]);
        break;
      case ')':
        stack.push(new PickleTuple([]));
        break;
      case 't':
        stack.push(new PickleTuple(toMark()));
        break;
      case '\x85':
        stack.push(new PickleTuple([pop()]));
        break;
      case '\x86': {
        const second = pop();
        stack.push(new PickleTuple([pop(), second]));
        break;
      }
      case '\x87': {
        const third = pop();
        const second = pop();
        stack.push(new PickleTuple([pop(), second, third]));
        break;
      }
      case 'l':
        stack.push(toMark());
        break;
      case 'd': {
        const dict: PickleDict = new Map();
        setItems(dict, toMark());
        stack.push(dict);
        break;
      }
      case 'a': {
        const value = pop();
        const list = top();
        if (!Array.isArray(list)) return fail('is damaged (no list)');
        list.push(value);
        break;
      }
      case 'e': {
        const values = toMark();
        const list = top();
        if (!Array.isArray(list)) return fail('is damaged (no list)');
        for (const value of values) list.push(value);
        break;
      }
      case 's': {
        const value = pop();
        const key = pop();
        setItems(top(), [key, value]);
        break;
      }
      case 'u': {
        const items = toMark();
        setItems(top(), items);
        break;
      }
      case 'q':
        memo.set(cursor.u8('a memo'), top());
        break;
      case 'r':
        memo.set(cursor.u32('a memo'), top());
        break;
      case '\x94':
        memo.set(memo.size, top());
        break;
      case 'h':
        stack.push(get(cursor.u8('a memo')));
        break;
      case 'j':
        stack.push(get(cursor.u32('a memo')));
        break;
      case 'c': {
        const module = line('a global');
        stack.push(global(`${module}.${line('a global')}`));
        break;
      }
      case '\x93': {
        const name = pop();
        const module = pop();
        if (typeof name !== 'string' || typeof module !== 'string')
          return fail('is damaged (no name)');
        stack.push(global(`${module}.${name}`));
        break;
      }
      case 'R': {
        const args = pop();
        const callee = pop();
        if (!(callee instanceof PickleGlobal) || !(args instanceof PickleTuple))
          return fail('calls something that is no allowed function');
        const result = rules.call(callee.name, args.items);
        if (result === undefined) return fail(`calls ${callee.name} in an unknown way`);
        stack.push(result);
        break;
      }
      case 'b':
        // State of an OrderedDict (`_metadata`) says nothing about weights.
        pop();
        if (!(top() instanceof Map)) fail('sets the state of something that is no dict');
        break;
      case 'Q':
        stack.push(rules.load(pop()));
        break;
      default:
        fail(`has the opcode 0x${opcode.charCodeAt(0).toString(16)}, which no checkpoint needs`);
    }
  }
};
