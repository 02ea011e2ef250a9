// Typed access to a config.json: each key read once, with its default, and an error that names it.

import { shown } from './checkpoint/json.ts';

export type ConfigJson = Readonly<Record<string, unknown>>;

/** A config.json that can't be used; the message names the key. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface ConfigReader {
  string(key: string, fallback?: string): string;
  boolean(key: string, fallback: boolean): boolean;
  positive(key: string, fallback?: number): number;
  /** A whole number from 1 to `limit`: what is counted and allocated by. */
  size(key: string, options?: SizeOptions): number;
  /** Absent and null are undefined; `absent` is the default of an absent key only (null says "none"). */
  optionalPositive(key: string, absent?: number): number | undefined;
  optionalSize(key: string, options?: SizeOptions): number | undefined;
  optionalStrings(key: string): readonly string[] | undefined;
}

export interface SizeOptions {
  readonly fallback?: number;
  readonly limit?: number;
}

/** No dimension of a model comes near it; a larger one is damage. */
const usualLimit = 2 ** 24;
/** Of contexts and windows: some configs say "none" with a huge number, and nothing is allocated by it. */
export const maxLength = 2 ** 31 - 1;

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;

export const reader = (json: ConfigJson): ConfigReader => {
  const wrong = (key: string, wanted: string): never => {
    throw new ConfigError(`${key} is ${shown(json[key])}, expected ${wanted}`);
  };
  const has = (key: string): boolean => json[key] !== undefined && json[key] !== null;
  const self: ConfigReader = {
    string(key, fallback) {
      const value = json[key];
      if (typeof value === 'string') return value;
      return !has(key) && fallback !== undefined ? fallback : wrong(key, 'a string');
    },
    boolean(key, fallback) {
      const value = json[key];
      if (typeof value === 'boolean') return value;
      return has(key) ? wrong(key, 'true or false') : fallback;
    },
    positive(key, fallback) {
      const value = json[key];
      if (isNumber(value)) return value;
      return !has(key) && fallback !== undefined ? fallback : wrong(key, 'a positive number');
    },
    size(key, { fallback, limit = usualLimit } = {}) {
      const value = json[key];
      if (isNumber(value) && Number.isInteger(value) && value <= limit) return value;
      return !has(key) && fallback !== undefined
        ? fallback
        : wrong(key, `a whole number from 1 to ${limit}`);
    },
    optionalSize(key, { fallback, limit = usualLimit } = {}) {
      if (json[key] === undefined) return fallback;
      return has(key) ? self.size(key, { limit }) : undefined;
    },
    optionalPositive(key, absent) {
      if (json[key] === undefined) return absent;
      return has(key) ? self.positive(key) : undefined;
    },
    optionalStrings(key) {
      const value = json[key];
      if (!has(key)) return undefined;
      if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
      return wrong(key, 'a list of strings');
    },
  };
  return self;
};
