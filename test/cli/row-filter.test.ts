import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldOf, parseFilter, unknownFields } from '../../cli/row-filter.ts';

const row = {
  id: 'a',
  text: 'Aspirin helps',
  metrics: { exact_match: 0, token_f1: 0.4 },
  group: { subject: 'drugs' },
};

const holds = (text: string): boolean => {
  const filter = parseFilter(text);
  assert.ok(filter.ok, filter.ok ? '' : filter.error);
  return filter.value(row);
};

test('fields are found one level down, or by their path', () => {
  assert.equal(fieldOf(row, 'exact_match'), 0);
  assert.equal(fieldOf(row, 'metrics.token_f1'), 0.4);
  assert.equal(fieldOf(row, 'subject'), 'drugs');
  assert.equal(fieldOf(row, 'other'), undefined);
});

test('comparisons of text and numbers', () => {
  for (const text of [
    'exact_match=0',
    'exact_match=false',
    'token_f1 < 0.5',
    'token_f1>=0.4',
    'id != b',
    'text ~ aspirin',
    'exact_match=0, subject=drugs',
    'other != x',
  ])
    assert.equal(holds(text), true, text);
  for (const text of [
    'exact_match=1',
    'exact_match=true',
    'token_f1 > 0.4',
    'id=b',
    'exact_match=0,id=b',
    'other=x',
  ])
    assert.equal(holds(text), false, text);
});

test('what is no condition is refused, and a misspelt field is noticed', () => {
  for (const text of ['', 'exact_match', '=0', 'a b'])
    assert.equal(parseFilter(text).ok, false, text);
  assert.deepEqual(unknownFields('exact_mach=0,id=a', [row]), ['exact_mach']);
});
