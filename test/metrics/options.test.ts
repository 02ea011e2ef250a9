import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOption } from '../../metrics/options.ts';

const options = [
  { label: 'A', text: 'Beta blocker' },
  { label: 'B', text: 'Selective beta blocker' },
  { label: 'C', text: 'Vitamin C' },
  { label: 'D', text: 'None of the above' },
];

const cases: readonly (readonly [answer: string, label: string | null])[] = [
  ['B', 'B'],
  [' B.', 'B'],
  ['(C) because', 'C'],
  ['**D**', 'D'],
  ['B: Selective beta blocker', 'B'],
  ['A\nThe reason is', 'A'],
  ['A patient with asthma should avoid it', null],
  ['The answer is C.', 'C'],
  ['Answer: (D)', 'D'],
  ['the correct option is b', 'B'],
  ['The answer is A beta-agonist', 'A'],
  ['It is a beta blocker.', 'A'],
  ['It is a selective beta blocker.', 'B'],
  ['vitamin c', 'C'],
  ['Either a beta blocker or vitamin C', null],
  ['', null],
  ['I do not know', null],
  ['The answer is A. No, the answer is B.', null],
];

for (const [answer, label] of cases) {
  test(`${JSON.stringify(answer)} means ${label ?? 'no option'}`, () => {
    assert.equal(parseOption(answer, options), label);
  });
}

test('labels may be words and may hold characters that mean something in patterns', () => {
  const words = [
    { label: 'yes', text: 'yes' },
    { label: 'no', text: 'no' },
  ];
  assert.equal(parseOption('yes', words), 'yes');
  assert.equal(parseOption('The answer is no', words), 'no');
  assert.equal(parseOption('(1+)', [{ label: '1+', text: 'trace' }]), '1+');
  assert.equal(parseOption('anything', []), null);
});

test('where an option is only its letter, an article is not an answer', () => {
  const letters = ['A', 'B'].map((label) => ({ label, text: label }));
  assert.equal(parseOption('It is a disease', letters), null);
  assert.equal(parseOption('B', letters), 'B');
});
