// The quickstart's data and tokenizer: what the repository holds is what the scripts make, and it keeps its promises.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { quickstartFiles } from '../../scripts/make-quickstart-data.ts';
import { DRUG_CLASSES } from '../../scripts/quickstart/drugs.ts';
import { TERMS } from '../../scripts/quickstart/terms.ts';
import { tokenizerFiles, trainBpe } from '../../scripts/train-tokenizer.ts';
import { openModel } from '../../models/model.ts';
import { loadModel } from '../../steps/load-model/step.ts';
import { projectRoot } from '../shared.ts';
import { runStep } from '../steps/context.ts';

interface Question {
  readonly id: string;
  readonly question: string;
  readonly options: Readonly<Record<string, string>>;
  readonly answer_idx: string;
  readonly subject: string;
}

const data = join(projectRoot, 'experiments/data');
const model = join(projectRoot, 'experiments/models/tiny');
const made = quickstartFiles();
const lines = <Row>(name: string): Row[] =>
  (made.get(name) ?? '')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
const texts = lines<{ text: string }>('pretraining.jsonl').map(({ text }) => text);
const train = lines<Question>('questions-train.jsonl');
const testQuestions = lines<Question>('questions-test.jsonl');

/** The word a question is about: its last one. */
const wordOf = ({ question }: Question): string => /([a-z]+)\?$/.exec(question)?.[1] ?? '';
const answerOf = ({ options, answer_idx: letter }: Question): string => options[letter] ?? '';

test('the files are those that the script makes', () => {
  for (const [name, content] of made) {
    assert.equal(readFileSync(join(data, name), 'utf8'), content, name);
  }
});

test('no word of the test questions stands in the text or the training questions, nor within the name of a drug there', () => {
  const seen = new Set(
    [...texts, ...train.flatMap(({ question, options }) => [question, ...Object.values(options)])]
      .join(' ')
      .toLowerCase()
      .match(/[a-z]+/g),
  );
  const asked = testQuestions.map(wordOf);
  assert.equal(new Set(asked).size, asked.length);
  const drugs = DRUG_CLASSES.flatMap((family) => family.drugs);
  const known = drugs.filter((drug) => seen.has(drug));
  for (const word of asked) {
    assert.ok(word.length > 0 && !seen.has(word), word);
    if (drugs.includes(word)) {
      assert.ok(!known.some((other) => other.includes(word) || word.includes(other)), word);
    }
  }
});

test('every answer of the test can be learnt: training questions have it, or its parts', () => {
  const answers = new Set(train.map(answerOf));
  for (const question of testQuestions.filter(({ subject }) => subject !== 'medical terms')) {
    assert.ok(answers.has(answerOf(question)) || question.subject === 'units', answerOf(question));
  }
  const endings = new Set(TERMS.map(({ ending }) => ending));
  for (const ending of endings) {
    const words = TERMS.filter((term) => term.ending === ending).map(({ word }) => word);
    assert.ok(train.filter((row) => words.includes(wordOf(row))).length >= 4, ending);
  }
});

test('several hundred questions; each letter is right equally often, in each subject', () => {
  assert.ok(train.length >= 300 && testQuestions.length >= 200);
  for (const rows of [train, testQuestions]) {
    for (const subject of new Set(rows.map((row) => row.subject))) {
      const own = rows.filter((row) => row.subject === subject);
      const counts = ['A', 'B', 'C', 'D'].map(
        (letter) => own.filter((row) => row.answer_idx === letter).length,
      );
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${subject} ${String(counts)}`);
    }
    for (const { options } of rows) assert.equal(new Set(Object.values(options)).size, 4);
  }
});

test('drugs have the stem of their class, and belong to one class', () => {
  const names = DRUG_CLASSES.flatMap(({ drugs }) => drugs);
  assert.equal(new Set(names).size, names.length);
  for (const { stem, drugs } of DRUG_CLASSES) {
    for (const name of drugs) {
      const follows = stem.startsWith('-')
        ? name.endsWith(stem.slice(1))
        : name.startsWith(stem.slice(0, -1));
      assert.ok(follows, `${name} ${stem}`);
      // A longer stem of another class would make the name mislead.
      const other = DRUG_CLASSES.find(
        (known) =>
          known.stem !== stem && known.stem.startsWith('-') && name.endsWith(known.stem.slice(1)),
      );
      assert.equal(other, undefined, name);
    }
  }
});

test('the tokenizer is the one that the script trains; endings are tokens of their own', async () => {
  const files = tokenizerFiles(trainBpe(texts, 1023));
  for (const [name, content] of files) {
    assert.equal(readFileSync(join(model, name), 'utf8'), content, name);
  }
  const loaded = await runStep(loadModel, { params: { source: 'path', path: model } });
  const tokenizer = await openModel(loaded.output('model', 'model')).tokenizer();
  assert.ok(tokenizer);
  assert.equal(tokenizer.vocabSize, 1024);
  const tokens = (text: string): (string | undefined)[] =>
    tokenizer.encode(text).map((id) => tokenizer.idToToken(id));
  assert.equal(tokens(' ramipril').at(-1), 'pril');
  assert.equal(tokens(' tonsillitis').at(-1), 'itis');
  for (const text of [...texts.slice(0, 50), 'ünïcödé 😀 \n\t x']) {
    assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  }
});
