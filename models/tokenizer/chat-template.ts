// Chat templates, rendered as transformers renders them (utils/chat_template_utils.py): Jinja with trimmed blocks and
// the globals raise_exception and tojson. A template sees the conversation and the special tokens, nothing else.

import * as library from '@huggingface/jinja';
import { asInPython, pythonFunctions } from './python-jinja.ts';

/** What is used of the library; its own declarations don't resolve under node16 module rules. */
interface Environment {
  set(name: string, value: unknown): void;
}
const { Environment, Interpreter, parse, tokenize } = library as unknown as {
  readonly Environment: new () => Environment;
  readonly Interpreter: new (environment: Environment) => {
    run(program: object): { readonly value: unknown };
  };
  readonly parse: (tokens: object) => object;
  readonly tokenize: (template: string, options: object) => object;
};

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatOptions {
  readonly addGenerationPrompt: boolean;
  /** `bos_token` and so on. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /**
   * The day that `strftime_now` shall show. Without it the function isn't defined, which templates ask for before they
   * use it: the same conversation then gives the same text tomorrow.
   */
  readonly today?: Date;
  /** Further variables (`tools`, `documents`, `enable_thinking`). */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A template that can't be parsed, or that refused the conversation (raise_exception). */
export class ChatTemplateError extends Error {
  override readonly name = 'ChatTemplateError';
}

export const renderChat = (
  template: string,
  messages: readonly ChatMessage[],
  { addGenerationPrompt, specialTokens, today, variables }: ChatOptions,
): string => {
  try {
    const environment = new Environment();
    const globals = {
      ...constants,
      range,
      ...pythonFunctions,
      raise_exception: (message: unknown) => {
        throw new ChatTemplateError(String(message));
      },
      ...(today && { strftime_now: (format: unknown) => strftime(today, format) }),
      ...specialTokens,
      ...variables,
      messages: messages.map((message) => ({ ...message })),
      add_generation_prompt: addGenerationPrompt,
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    return String(new Interpreter(environment).run(compile(template)).value);
  } catch (error) {
    if (error instanceof ChatTemplateError) throw error;
    throw new ChatTemplateError(error instanceof Error ? error.message : String(error));
  }
};

const constants = { true: true, false: false, none: null, True: true, False: false, None: null };

const range = (start: number, stop?: number, step = 1): number[] => {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!Number.isFinite(length)) throw new ChatTemplateError('range: the step is 0');
  return Array.from({ length }, (_, index) => from + index * step);
};

const compiled = new Map<string, object>();

const compile = (template: string): object => {
  const known = compiled.get(template);
  if (known !== undefined) return known;
  const made = parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true }));
  asInPython(made);
  compiled.set(template, made);
  return made;
};

const months =
  'January February March April May June July August September October November December';
const weekdays = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday';

/** The directives of Python's strftime that dates in templates use. */
const strftime = (date: Date, format: unknown): string => {
  const two = (value: number): string => String(value).padStart(2, '0');
  const month = months.split(' ')[date.getMonth()] ?? '';
  const weekday = weekdays.split(' ')[date.getDay()] ?? '';
  const parts: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    B: month,
    b: month.slice(0, 3),
    A: weekday,
    a: weekday.slice(0, 3),
    H: two(date.getHours()),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    '%': '%',
  };
  return String(format).replace(/%(.)/g, (directive, letter: string) => parts[letter] ?? directive);
};
