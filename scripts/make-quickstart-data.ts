// Writes experiments/data/{pretraining,questions-train,questions-test}.jsonl from the lists in scripts/quickstart/.
// Deterministic: the same lists give the same bytes (a test compares them with the files in the repository).
//
//   node scripts/make-quickstart-data.ts [folder]

import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stream, type RandomStream } from '../random/threefry.ts';
import { BODY, PASSAGES } from './quickstart/body.ts';
import { FACTS, type Fact } from './quickstart/facts.ts';
import { story } from './quickstart/stories.ts';
import { UNITS } from './quickstart/units.ts';

const SEED = 2;
/** How often the text comes round to each of its facts, in other words each time. */
const ROUNDS = 14;
const STORIES_PER_ROUND = 45;

const LETTERS = ['A', 'B', 'C', 'D'] as const;

const pick = <T>(random: RandomStream, values: readonly T[]): T =>
  values[random.below(values.length)] as T;

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const article = (word: string): string => (/^[aeiou]/.test(word) ? `an ${word}` : `a ${word}`);

/** One sentence that states a fact. The words of the questions ("which kind of drug") are not used here. */
const statement = (random: RandomStream, fact: Fact): string => {
  const { word, answer } = fact;
  if (fact.subject === 'drug classes') {
    const use = String(fact.use);
    return pick(random, [
      `${capital(word)} is ${answer}.`,
      `${capital(word)} is ${answer} and is used to ${use}.`,
      `The doctor gives ${word}, ${answer}, to ${use}.`,
      `Like other drugs with such a name, ${word} is ${answer}.`,
      `A patient who takes ${word} takes ${answer}.`,
      `As ${answer}, ${word} can ${use}.`,
    ]);
  }
  if (fact.subject === 'medical terms') {
    return pick(random, [
      `${capital(word)} means ${answer}.`,
      `The word ${word} means ${answer}.`,
      `Doctors call ${answer} ${word}.`,
      `${capital(answer)} is called ${word}.`,
      `The letter from the hospital says ${word}, that is ${answer}.`,
    ]);
  }
  return pick(random, [
    `One ${word} is ${answer}.`,
    `A value of one ${word} is the same as ${answer}.`,
    `${capital(article(word))} is ${answer}.`,
    `The nurse knows that one ${word} is ${answer}.`,
  ]);
};

const pretraining = (): { id: string; text: string }[] => {
  const stated = FACTS.filter(({ part }) => part === 'text');
  const texts: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const random = stream(SEED, 'quickstart/text', round);
    const sentences = random.shuffle(stated.map((fact) => statement(random, fact)));
    const body = BODY.map((group) => random.shuffle([...group]).join(' '));
    const measures = UNITS.map(([unit, measures]) => `The ${unit} is a unit of ${measures}.`);
    const documents = [
      ...body,
      ...PASSAGES,
      random.shuffle(measures).join(' '),
      ...Array.from({ length: STORIES_PER_ROUND }, () => story(random)),
    ];
    for (let at = 0; at < sentences.length; at += 5) {
      documents.push(sentences.slice(at, at + 5).join(' '));
    }
    texts.push(...random.shuffle(documents));
  }
  return texts.map((text, index) => ({ id: `text-${String(index)}`, text }));
};

interface QuestionRow {
  readonly id: string;
  readonly question: string;
  readonly options: Readonly<Record<string, string>>;
  readonly answer_idx: string;
  readonly subject: string;
}

const asked = ({ subject, word }: Fact): string => {
  if (subject === 'drug classes') return `Which kind of drug is ${word}?`;
  if (subject === 'medical terms') return `What is the meaning of ${word}?`;
  return `How much is one ${word}?`;
};

/** Three wrong answers of the same subject: half of them near (same ending or same part of the body), where there are any. */
const distractors = (random: RandomStream, fact: Fact): string[] => {
  const others = [
    ...new Set(FACTS.filter(({ subject }) => subject === fact.subject).map(({ answer }) => answer)),
  ].filter((answer) => answer !== fact.answer);
  const tail = (answer: string): string => answer.split(' ').slice(-1).join(' ');
  const head = (answer: string): string => answer.split(' ').slice(0, 2).join(' ');
  const near =
    fact.subject === 'drug classes'
      ? []
      : others.filter(
          (answer) => tail(answer) === tail(fact.answer) || head(answer) === head(fact.answer),
        );
  const chosen = random.shuffle([...near]).slice(0, 2);
  for (const answer of random.shuffle([...others])) {
    if (chosen.length === 3) break;
    if (!chosen.includes(answer)) chosen.push(answer);
  }
  return chosen;
};

const questions = (name: 'train' | 'test'): QuestionRow[] => {
  const facts = FACTS.filter(({ part }) => (part === 'test') === (name === 'test'));
  const random = stream(SEED, `quickstart/questions-${name}`);
  const order = random.shuffle([...facts]);
  return order.map((fact, index) => {
    // The right letter goes round: A, B, C and D are right equally often, in every subject.
    const before = order.slice(0, index).filter(({ subject }) => subject === fact.subject).length;
    const right = before % LETTERS.length;
    const wrong = distractors(random, fact);
    const texts = [...wrong.slice(0, right), fact.answer, ...wrong.slice(right)];
    return {
      id: `${fact.subject.split(' ')[0] ?? ''}-${fact.word}`,
      question: asked(fact),
      options: Object.fromEntries(LETTERS.map((letter, at) => [letter, texts[at] ?? ''])),
      answer_idx: LETTERS[right] ?? '',
      subject: fact.subject,
    };
  });
};

/** The promise the experiment rests on: what is asked in the test was never named before. */
const assertHeldOut = (files: ReadonlyMap<string, string>): void => {
  const seen = new Set(
    ['pretraining.jsonl', 'questions-train.jsonl'].flatMap(
      (name) =>
        files
          .get(name)
          ?.toLowerCase()
          .match(/[a-z]+/g) ?? [],
    ),
  );
  for (const { part, word } of FACTS) {
    if (part === 'test' && seen.has(word))
      throw new Error(`${word} is asked in the test and named before`);
  }
};

/** File name -> content. */
export const quickstartFiles = (): Map<string, string> => {
  const lines = (rows: readonly unknown[]): string =>
    rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const files = new Map([
    ['pretraining.jsonl', lines(pretraining())],
    ['questions-train.jsonl', lines(questions('train'))],
    ['questions-test.jsonl', lines(questions('test'))],
  ]);
  assertHeldOut(files);
  return files;
};

if (import.meta.main) {
  const folder = resolve(process.argv[2] ?? join(import.meta.dirname, '../experiments/data'));
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of quickstartFiles()) writeFileSync(join(folder, name), content);
}
