// Rotary positions: frequencies by scaling kind, and the cosine and sine tables a graph is fed with.
// Tables are inputs of a graph, not part of it, so that "dynamic" scaling (which depends on the length of what is
// run) and long contexts need no other graph. Formulas: transformers, modeling_rope_utils.py.

import { isRecord, shown } from './checkpoint/json.ts';
import type { ConfigJson } from './config-json.ts';
import { ConfigError, reader } from './config-json.ts';

export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | { readonly kind: 'dynamic'; readonly factor: number; readonly maxPositions: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalPositions: number;
    }
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly truncate: boolean;
      readonly attentionFactor: number;
    }
  | {
      readonly kind: 'longrope';
      readonly short: readonly number[];
      readonly long: readonly number[];
      readonly originalPositions: number;
      readonly attentionFactor: number;
    };

export interface RopeConfig {
  readonly theta: number;
  /** How many of a head's dimensions are rotated (split in halves). */
  readonly dim: number;
  readonly scaling: RopeScaling;
}

/** Reads `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (hub checkpoints). */
export const ropeConfig = (json: ConfigJson, headDim: number, maxPositions: number): RopeConfig => {
  const nested = json['rope_parameters'] ?? json['rope_scaling'];
  if (nested !== undefined && nested !== null && !isRecord(nested))
    throw new ConfigError(`rope_scaling is ${shown(nested)}, expected an object`);
  const rope: ConfigJson = nested ?? {};
  const key = reader(rope);
  const theta = key.optionalPositive('rope_theta') ?? reader(json).positive('rope_theta', 10000);
  const partial =
    key.optionalPositive('partial_rotary_factor') ??
    reader(json).optionalPositive('partial_rotary_factor') ??
    1;
  const type = key.string('rope_type', key.string('type', 'default'));
  const dim = Math.trunc(headDim * partial);
  if (dim < 2 || dim % 2 !== 0 || dim > headDim)
    throw new ConfigError(
      `head_dim times partial_rotary_factor is ${dim}, expected an even number of at most ${headDim}`,
    );
  return { theta, dim, scaling: scalingOf(type, rope, json, dim, maxPositions) };
};

const scalingOf = (
  type: string,
  rope: ConfigJson,
  json: ConfigJson,
  dim: number,
  maxPositions: number,
): RopeScaling => {
  const key = reader(rope);
  const original = (): number =>
    key.optionalPositive('original_max_position_embeddings') ??
    reader(json).positive('original_max_position_embeddings', maxPositions);
  switch (type) {
    case 'default':
      return { kind: 'none' };
    case 'linear':
      return { kind: 'linear', factor: key.positive('factor') };
    case 'dynamic':
      return { kind: 'dynamic', factor: key.positive('factor'), maxPositions };
    case 'llama3':
      return {
        kind: 'llama3',
        factor: key.positive('factor'),
        lowFrequencyFactor: key.positive('low_freq_factor'),
        highFrequencyFactor: key.positive('high_freq_factor'),
        originalPositions: original(),
      };
    case 'yarn': {
      const factor = key.positive('factor');
      const mscale = key.optionalPositive('mscale');
      const mscaleAll = key.optionalPositive('mscale_all_dim');
      return {
        kind: 'yarn',
        factor,
        originalPositions: original(),
        betaFast: key.positive('beta_fast', 32),
        betaSlow: key.positive('beta_slow', 1),
        truncate: reader(rope).boolean('truncate', true),
        attentionFactor:
          key.optionalPositive('attention_factor') ??
          (mscale !== undefined && mscaleAll !== undefined
            ? yarnScale(factor, mscale) / yarnScale(factor, mscaleAll)
            : yarnScale(factor, 1)),
      };
    }
    case 'su':
    case 'longrope': {
      const originalPositions = original();
      const factor = key.optionalPositive('factor') ?? maxPositions / originalPositions;
      return {
        kind: 'longrope',
        short: numbers(rope, 'short_factor', dim / 2),
        long: numbers(rope, 'long_factor', dim / 2),
        originalPositions,
        attentionFactor:
          key.optionalPositive('attention_factor') ??
          (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalPositions))),
      };
    }
    default:
      throw new ConfigError(
        `rope_type '${type}' is not supported (supported: default, linear, dynamic, llama3, yarn, longrope)`,
      );
  }
};

const yarnScale = (factor: number, mscale: number): number =>
  factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;

const numbers = (json: ConfigJson, key: string, count: number): readonly number[] => {
  const value = json[key];
  if (
    !Array.isArray(value) ||
    value.length !== count ||
    !value.every((item): item is number => typeof item === 'number')
  )
    throw new ConfigError(`${key} must be a list of ${count} numbers`);
  return value;
};

/** Inverse frequencies [dim / 2] and the factor on cosine and sine, for sequences of up to `length` tokens. */
export const ropeFrequencies = (
  rope: RopeConfig,
  length: number,
): { readonly inverse: Float64Array; readonly factor: number } => {
  const { theta, dim, scaling } = rope;
  const inverseAt = (base: number): Float64Array =>
    Float64Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));
  const plain = inverseAt(theta);
  switch (scaling.kind) {
    case 'none':
      return { inverse: plain, factor: 1 };
    case 'linear':
      return { inverse: plain.map((f) => f / scaling.factor), factor: 1 };
    case 'dynamic': {
      const { factor, maxPositions } = scaling;
      const seen = Math.max(length, maxPositions);
      const grown = theta * ((factor * seen) / maxPositions - (factor - 1)) ** (dim / (dim - 2));
      return { inverse: inverseAt(grown), factor: 1 };
    }
    case 'llama3':
      return { inverse: plain.map((f) => llama3(f, scaling)), factor: 1 };
    case 'yarn':
      return { inverse: yarn(plain, rope, scaling), factor: scaling.attentionFactor };
    case 'longrope': {
      const factors = length > scaling.originalPositions ? scaling.long : scaling.short;
      return {
        inverse: plain.map((f, i) => f / (factors[i] ?? 1)),
        factor: scaling.attentionFactor,
      };
    }
  }
};

const llama3 = (frequency: number, scaling: RopeScaling & { readonly kind: 'llama3' }): number => {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalPositions } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength > originalPositions / lowFrequencyFactor) return frequency / factor;
  if (wavelength < originalPositions / highFrequencyFactor) return frequency;
  const smooth =
    (originalPositions / wavelength - lowFrequencyFactor) /
    (highFrequencyFactor - lowFrequencyFactor);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
};

const yarn = (
  plain: Float64Array,
  { theta, dim }: RopeConfig,
  scaling: RopeScaling & { readonly kind: 'yarn' },
): Float64Array => {
  const dimensionOf = (rotations: number): number =>
    (dim * Math.log(scaling.originalPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const round = scaling.truncate
    ? { low: Math.floor, high: Math.ceil }
    : { low: (x: number): number => x, high: (x: number): number => x };
  const low = Math.max(round.low(dimensionOf(scaling.betaFast)), 0);
  const top = Math.min(round.high(dimensionOf(scaling.betaSlow)), dim - 1);
  const high = low === top ? top + 0.001 : top;
  return plain.map((frequency, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (frequency / scaling.factor) * ramp + frequency * (1 - ramp);
  });
};

export interface RopeTables {
  /** Rows of the tables: positions 0 .. rows-1. */
  readonly rows: number;
  /** [rows, dim / 2] */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/**
 * Tables for positions below `length`; under "dynamic" scaling exactly for sequences of that length. `rows` may be
 * more than that.
 */
export const ropeTables = (rope: RopeConfig, length: number, rows = length): RopeTables => {
  const { inverse, factor } = ropeFrequencies(rope, length);
  const half = inverse.length;
  const cos = new Float32Array(rows * half);
  const sin = new Float32Array(rows * half);
  for (let position = 0; position < rows; position++) {
    for (let i = 0; i < half; i++) {
      // The reference multiplies position and frequency in float32.
      const angle = Math.fround(position * Math.fround(inverse[i] ?? 0));
      cos[position * half + i] = Math.cos(angle) * factor;
      sin[position * half + i] = Math.sin(angle) * factor;
    }
  }
  return { rows, cos, sin };
};

/** Whether tables for a longer sequence begin with those for a shorter one. */
export const tablesGrow = (rope: RopeConfig): boolean =>
  rope.scaling.kind !== 'dynamic' && rope.scaling.kind !== 'longrope';
