// Short stories of visits to a doctor, made from lists: who, what, how long, and what was found, so that every sentence
// of a story fits the others. They teach the model English, not facts.

import type { RandomStream } from '../../random/threefry.ts';

const WOMEN =
  'Anna Maria Sofia Clara Julia Elena Laura Nina Rosa Emma Ida Lena Olga Ruth Vera Alma'.split(' ');
const MEN =
  'Peter Paul Martin Jacob Simon Oscar Hugo Leon Adam Felix David Karl Otto Ivan Boris Emil'.split(
    ' ',
  );
const TIMES = [
  'since the morning',
  'for two days',
  'for three days',
  'for a week',
  'for two weeks',
  'for a month',
  'since last night',
];

interface Illness {
  readonly complaint: readonly string[];
  readonly finding: readonly string[];
  readonly name: string;
  readonly advice: readonly string[];
}

const ILLNESSES: readonly Illness[] = [
  {
    complaint: [
      'a cough and a runny nose',
      'a sore throat and a cough',
      'a blocked nose and a mild headache',
    ],
    finding: [
      'The throat is a little red and the lungs are clear',
      'The lungs sound normal and there is no fever',
    ],
    name: 'a common cold',
    advice: [
      'rest and drink warm tea',
      'wait, since a cold goes away by itself',
      'come back if a high fever begins',
    ],
  },
  {
    complaint: [
      'fever, cough and pain when breathing',
      'chills, fever and a cough with yellow phlegm',
    ],
    finding: [
      'The doctor hears crackles over the right lung',
      'The X-ray shows a shadow in the left lung',
    ],
    name: 'pneumonia',
    advice: ['take an antibiotic for a week', 'stay in bed and take the antibiotic on time'],
  },
  {
    complaint: ['burning pain when passing urine', 'a need to pass urine all the time'],
    finding: [
      'The urine contains bacteria and white blood cells',
      'The test of the urine shows an infection',
    ],
    name: 'an infection of the bladder',
    advice: [
      'drink much water and take an antibiotic',
      'take the antibiotic until the last tablet',
    ],
  },
  {
    complaint: [
      'a strong headache on one side with nausea',
      'a throbbing headache that gets worse in bright light',
    ],
    finding: [
      'The neck is soft and the nerves are normal',
      'The examination of the nerves finds nothing wrong',
    ],
    name: 'migraine',
    advice: ['lie down in a dark room', 'take the tablet early when the next attack begins'],
  },
  {
    complaint: [
      'burning behind the breastbone after meals',
      'a sour taste in the mouth when lying down',
    ],
    finding: ['The belly is soft and not painful', 'The heart is normal in the electrocardiogram'],
    name: 'heartburn',
    advice: ['eat smaller meals and not late at night', 'take a drug that reduces the acid'],
  },
  {
    complaint: ['great thirst and much urine', 'tiredness, thirst and loss of weight'],
    finding: [
      'The sugar of the blood is far too high',
      'The test of the blood shows too much sugar',
    ],
    name: 'diabetes',
    advice: ['eat less sugar and move more', 'take the tablets and measure the sugar each day'],
  },
  {
    complaint: [
      'swollen legs and hard breathing at night',
      'hard breathing on the stairs and swollen feet',
    ],
    finding: [
      'There is water in the lungs and the heart is large',
      'The ultrasound shows that the heart pumps weakly',
    ],
    name: 'heart failure',
    advice: ['eat less salt and weigh the body each day', 'take the water tablet in the morning'],
  },
  {
    complaint: ['pain in the knee when walking', 'a stiff knee in the morning'],
    finding: [
      'The joint is a little swollen and cracks when it is bent',
      'The X-ray shows that the cartilage is thin',
    ],
    name: 'arthrosis of the knee',
    advice: ['swim or ride a bicycle', 'lose some weight and keep the knee moving'],
  },
  {
    complaint: ['wheezing and hard breathing at night', 'attacks of hard breathing after running'],
    finding: [
      'The doctor hears a whistle over both lungs',
      'The test of the lungs shows narrow airways',
    ],
    name: 'asthma',
    advice: ['use the inhaler before running', 'keep away from smoke and use the inhaler each day'],
  },
  {
    complaint: [
      'pain in the lower right side of the belly',
      'pain that moved from the navel to the lower right side',
    ],
    finding: [
      'The belly is hard and hurts when it is pressed',
      'The ultrasound shows a thick appendix',
    ],
    name: 'an inflamed appendix',
    advice: ['go to hospital at once', 'have an operation on the same day'],
  },
  {
    complaint: ['tiredness and a pale face', 'hard breathing on the stairs and pale skin'],
    finding: ['The hemoglobin is too low', 'The test of the blood shows too little iron'],
    name: 'anemia',
    advice: ['take iron tablets for some months', 'come back for another test of the blood'],
  },
  {
    complaint: ['itching eyes and sneezing in spring', 'sneezing and a runny nose near grass'],
    finding: [
      'The nose is swollen and the eyes are red',
      'The test of the skin shows an allergy to pollen',
    ],
    name: 'hay fever',
    advice: ['take a tablet against the allergy', 'close the windows in the morning'],
  },
];

const OPENINGS = [
  (name: string, age: string, complaint: string, time: string) =>
    `${name} is ${age} years old and has had ${complaint} ${time}.`,
  (name: string, age: string, complaint: string, time: string) =>
    `A patient named ${name}, ${age} years old, has had ${complaint} ${time}.`,
] as const;

const TENS = 'twenty thirty forty fifty sixty seventy eighty'.split(' ');
const ONES = ['', '-one', '-two', '-three', '-four', '-five', '-six', '-seven', '-eight', '-nine'];

const pick = <T>(random: RandomStream, values: readonly T[]): T =>
  values[random.below(values.length)] as T;

export const story = (random: RandomStream): string => {
  const woman = random.below(2) === 0;
  const name = pick(random, woman ? WOMEN : MEN);
  const they = woman ? 'She' : 'He';
  const illness = pick(random, ILLNESSES);
  const age = `${pick(random, TENS)}${pick(random, ONES)}`;
  const complaint = pick(random, illness.complaint);
  const time = pick(random, TIMES);
  const opening = pick(random, OPENINGS)(name, age, complaint, time);
  const middle = pick(random, [
    `${they} takes no other drugs.`,
    `${they} has never been seriously ill.`,
    `${they} does not smoke.`,
    `${they} works in an office and sleeps badly.`,
    `${they} lives alone and likes to walk.`,
    `${they} had an operation two years ago.`,
  ]);
  const end = pick(random, [
    `The doctor thinks of ${illness.name} and tells ${woman ? 'her' : 'him'} to ${pick(random, illness.advice)}.`,
    `It is ${illness.name}. ${they} should ${pick(random, illness.advice)}.`,
    `The diagnosis is ${illness.name}. The doctor advises ${woman ? 'her' : 'him'} to ${pick(random, illness.advice)}.`,
  ]);
  return `${opening} ${middle} ${pick(random, illness.finding)}. ${end}`;
};
