// All facts of the quickstart with the part each belongs to:
//   text      stated in the pretraining text, and asked in the training questions
//   train     asked in the training questions only
//   test      asked in the test questions only: the word stands nowhere else
// The parts are drawn within each family (drug class, ending, prefix), so that every rule can be learnt from the first
// two and is asked about in the third.

import { stream } from '../../random/threefry.ts';
import { DRUG_CLASSES } from './drugs.ts';
import { TERMS } from './terms.ts';
import { PREFIXED_UNITS } from './units.ts';

export type Part = 'text' | 'train' | 'test';
export type Subject = 'drug classes' | 'medical terms' | 'units';

export interface Fact {
  readonly subject: Subject;
  /** Drug class, ending or prefix. */
  readonly family: string;
  readonly word: string;
  /** The answer to "what is it?". */
  readonly answer: string;
  /** Drugs: what they are used for. */
  readonly use: string | null;
  readonly part: Part;
}

const SEED = 1;
const TEST_SHARE = 0.35;
const TEXT_SHARE = 0.4;

const assign = (facts: readonly Omit<Fact, 'part'>[]): Fact[] => {
  const families = [...new Set(facts.map(({ family }) => family))];
  return families.flatMap((family, index) => {
    const members = stream(SEED, 'quickstart/parts', index).shuffle(
      facts.filter((fact) => fact.family === family),
    );
    const test = Math.round(members.length * TEST_SHARE);
    const text = Math.round(members.length * TEXT_SHARE);
    return members.map((fact, at): Fact => {
      const part = at < test ? 'test' : at < test + text ? 'text' : 'train';
      return { ...fact, part };
    });
  });
};

export const FACTS: readonly Fact[] = [
  ...assign(
    DRUG_CLASSES.flatMap(({ stem, kind, use, drugs }) =>
      drugs.map((word) => ({
        subject: 'drug classes' as const,
        family: stem,
        word,
        answer: kind,
        use,
      })),
    ),
  ),
  ...assign(
    TERMS.map(({ word, ending, meaning }) => ({
      subject: 'medical terms' as const,
      family: ending,
      word,
      answer: meaning,
      use: null,
    })),
  ),
  ...assign(
    PREFIXED_UNITS.map(({ word, prefix, meaning }) => ({
      subject: 'units' as const,
      family: prefix,
      word,
      answer: meaning,
      use: null,
    })),
  ),
];
