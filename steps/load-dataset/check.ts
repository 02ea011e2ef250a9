// What load-dataset's schema can't say about its parameters.

import type { Complaint } from '../../engine/step.ts';
import { checkCondition } from '../../datasets/filter.ts';
import type { Json, JsonObject } from '../../schemas/json.ts';
import { sourceKind, splitNames, splitOptions } from './parameters.ts';

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const checkSource = (params: JsonObject, at: string): Complaint[] => {
  const problems: Complaint[] = [];
  const kind = sourceKind(params);
  const needs = { file: 'path', inline: 'rows', hub: 'id' }[kind];
  if (params[needs] === undefined) {
    problems.push({
      pointer: at,
      message:
        params['source'] === undefined
          ? 'says neither `path`, `rows`, `id` nor `mix`: where do the rows come from?'
          : `source: ${kind} needs \`${needs}\``,
    });
  }
  if (params['where'] !== undefined) {
    for (const { pointer, message } of checkCondition(params['where'])) {
      problems.push({ pointer: `${at}/where${pointer}`, message });
    }
  }
  const sample = params['sample'];
  if (isObject(sample)) {
    if (sample['stratify_by'] !== undefined && (sample['method'] ?? 'mesa') !== 'mesa') {
      problems.push({
        pointer: `${at}/sample/stratify_by`,
        message: `stratify_by goes with method mesa only, not ${sample['method'] as string}`,
      });
    }
    if (sample['stratify_by'] !== undefined && sample['replacement'] === true) {
      problems.push({
        pointer: `${at}/sample/stratify_by`,
        message: 'stratify_by and replacement exclude each other',
      });
    }
    if (typeof sample['n'] === 'number' && sample['n'] >= 1 && !Number.isInteger(sample['n'])) {
      problems.push({ pointer: `${at}/sample/n`, message: 'must be a whole number, or below 1' });
    }
  }
  return problems;
};

export const checkParams = (params: JsonObject): Complaint[] => {
  const problems: Complaint[] = [];
  if (Array.isArray(params['mix'])) {
    for (const name of ['source', 'path', 'rows', 'id', 'config', 'split', 'revision']) {
      if (params[name] !== undefined) {
        problems.push({ pointer: `/${name}`, message: `goes into the parts of \`mix\`` });
      }
    }
    for (const [index, part] of (params['mix'] as JsonObject[]).entries()) {
      problems.push(...checkSource(part, `/mix/${String(index)}`));
      if (part['n'] !== undefined && part['weight'] !== undefined) {
        problems.push({ pointer: `/mix/${String(index)}`, message: 'takes n or weight, not both' });
      }
    }
  } else {
    problems.push(...checkSource(params, ''));
  }
  if (params['splits'] !== undefined) {
    if (splitNames(params).length === 0) {
      problems.push({ pointer: '/splits', message: 'names no split' });
    }
    for (const name of splitNames(params)) {
      const size = splitOptions(params).sizes[name];
      if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
        problems.push({
          pointer: `/splits/${name}`,
          message: 'the name of a split is lower-case letters, digits, - and _',
        });
      }
      if (typeof size === 'number' && size >= 1 && !Number.isInteger(size)) {
        problems.push({
          pointer: `/splits/${name}`,
          message: 'must be a whole number of rows, a share below 1, or `rest`',
        });
      }
    }
  }
  return problems;
};
