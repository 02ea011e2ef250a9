// Moses' word tokenizer and detokenizer for English, with escaping and with every hyphen split: what BioGPT's texts
// went through. Rule for rule sacremoses 0.1.1 (MIT licence), tokenize.py; it loses information (newlines become
// spaces, `120/80` becomes `120 / 80`).

import { alnum, alpha, currency, lower, numeric } from './moses-characters.ts';

/** Python's \s and str.split(): not JavaScript's, which lacks the separators 1c-1f and 85 and adds feff. */
const space =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const spaces = new RegExp(`[${space}]+`, 'gu');

/** Python's str.split(). */
export const splitWords = (text: string): string[] =>
  text.split(spaces).filter((word) => word !== '');

const strip = (text: string): string =>
  text.replace(new RegExp(`^[${space}]+|[${space}]+$`, 'gu'), '');

type Rule = readonly [pattern: RegExp, replacement: string];
const rule = (pattern: string, replacement: string): Rule => [
  new RegExp(pattern, 'gu'),
  replacement,
];
const apply = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);

const controls: Rule = [/[\0-\x1f]/gu, ''];
const padSpecial = rule(`([^${alnum}${space}.'\`,\\-])`, ' $1 ');
const splitHyphens = rule(`([${alnum}])-(?=[${alnum}])`, '$1 @-@ ');
const commas: readonly Rule[] = [
  rule(`([^${numeric}]),`, '$1 , '),
  rule(`,([^${numeric}])`, ' , $1'),
  rule(`([${numeric}]),$`, '$1 , '),
];
const apostrophes: readonly Rule[] = [
  rule(`([^${alpha}])'([^${alpha}])`, "$1 ' $2"),
  rule(`([^${alpha}${numeric}])'([${alpha}])`, "$1 ' $2"),
  rule(`([${alpha}])'([^${alpha}])`, "$1 ' $2"),
  rule(`([${alpha}])'([${alpha}])`, "$1 '$2"),
  rule(`([${numeric}])'(s)`, "$1 '$2"),
];
const trailingDot = rule(`\\.' ?$`, " . ' ");
const escapes: readonly Rule[] = [
  rule('&', '&amp;'),
  rule('\\|', '&#124;'),
  rule('<', '&lt;'),
  rule('>', '&gt;'),
  rule("'", '&apos;'),
  rule('"', '&quot;'),
  rule('\\[', '&#91;'),
  rule('\\]', '&#93;'),
];

/** Dots in a row stay together: they hide behind a word while single dots are split off. */
const hideDots = (text: string): string => {
  let hidden = text.replace(/\.(\.+)/gu, ' DOTMULTI$1');
  while (hidden.includes('DOTMULTI.'))
    hidden = hidden
      .replace(/DOTMULTI\.([^.])/gu, 'DOTDOTMULTI $1')
      .replaceAll('DOTMULTI.', 'DOTDOTMULTI');
  return hidden;
};

const showDots = (text: string): string => {
  let shown = text;
  while (shown.includes('DOTDOTMULTI')) shown = shown.replaceAll('DOTDOTMULTI', 'DOTMULTI.');
  return shown.replaceAll('DOTMULTI', '.');
};

/** Words that a dot does not end a sentence after (Moses' nonbreaking_prefix.en). */
const prefixes = new Set(
  (
    'A B C D E F G H I J K L M N O P Q R S T U V W X Y Z Adj Adm Adv Asst Bart Bldg Brig Bros Capt Cmdr Col ' +
    'Comdr Con Corp Cpl DR Dr Drs Ens Gen Gov Hon Hr Hosp Insp Lt MM MR MRS MS Maj Messrs Mlle Mme Mr Mrs Ms ' +
    'Msgr Op Ord Pfc Ph Prof Pvt Rep Reps Res Rev Rt Sen Sens Sfc Sgt Sr St Supt Surg v vs i.e rev e.g Rs Nos ' +
    'Nr Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec'
  ).split(' '),
);
/** Those only before a number. */
const numericPrefixes = new Set(['No', 'Art', 'pp']);
const hasAlpha = new RegExp(`[${alpha}]`, 'u');
const startsLower = new RegExp(`^[${lower}]`, 'u');

const splitFullStops = (text: string): string => {
  const words = splitWords(text);
  return words
    .map((word, index) => {
      if (word.length < 2 || !word.endsWith('.')) return word;
      const prefix = word.slice(0, -1);
      const next = words[index + 1];
      const stays =
        (prefix.includes('.') && hasAlpha.test(prefix)) ||
        prefixes.has(prefix) ||
        (next !== undefined && startsLower.test(next)) ||
        (numericPrefixes.has(prefix) && next !== undefined && /^[0-9]/.test(next));
      return stays ? word : `${prefix} .`;
    })
    .join(' ');
};

/** MosesTokenizer("en").tokenize(text, aggressive_dash_splits=True, escape=True) */
export const mosesTokenize = (text: string): string[] => {
  let result = strip(apply(text.replace(spaces, ' '), [controls]));
  result = apply(result, [padSpecial, splitHyphens]);
  result = apply(hideDots(result), [...commas, ...apostrophes]);
  result = strip(splitFullStops(result).replace(spaces, ' '));
  return splitWords(apply(showDots(apply(result, [trailingDot])), escapes));
};

const unescapes: readonly Rule[] = [
  rule('&bar;', '|'),
  rule('&#124;', '|'),
  rule('&lt;', '<'),
  rule('&gt;', '>'),
  rule('&bra;', '['),
  rule('&ket;', ']'),
  rule('&quot;', '"'),
  rule('&apos;', "'"),
  rule('&#91;', '['),
  rule('&#93;', ']'),
  rule('&amp;', '&'),
];
const isCurrency = new RegExp(`^[${currency}([{¿¡]+$`, 'u');
const isPunctuation = /^[,.?!:;\\%}\])]+$/u;
const isContraction = new RegExp(`^'[${alpha}]`, 'u');
const isOpenQuote = /^['"„“`]+$/u;

/** Exclusive at both ends, as the reference has it. */
const cjkRanges: readonly (readonly [number, number])[] = [
  [4352, 4607],
  [11904, 42191],
  [43072, 43135],
  [44032, 55215],
  [63744, 64255],
  [65072, 65103],
  [65381, 65500],
  [94208, 101119],
  [110592, 110895],
  [110960, 111359],
  [131072, 196607],
];
const isCjk = (character: string | undefined): boolean => {
  const code = character?.codePointAt(0) ?? 0;
  const range = cjkRanges.find(([, end]) => code < end);
  return range !== undefined && code > range[0];
};

/** MosesDetokenizer("en").detokenize(words) */
export const mosesDetokenize = (input: readonly string[]): string => {
  const words = splitWords(apply(` ${input.join(' ')} `.replaceAll(' @-@ ', '-'), unescapes));
  const quotes = new Map<string, number>();
  let before = ' ';
  let text = '';
  const attach = (word: string): void => {
    text += word;
    before = ' ';
  };
  for (const [index, word] of words.entries()) {
    const previous = words[index - 1];
    if (isCjk(word)) {
      const joined = previous !== undefined && isCjk(Array.from(previous).at(-1));
      text += joined ? word : before + word;
      before = ' ';
    } else if (isCurrency.test(word)) {
      text += before + word;
      before = '';
    } else if (isPunctuation.test(word)) attach(word);
    else if (previous !== undefined && isContraction.test(word)) attach(word);
    else if (isOpenQuote.test(word)) {
      const quote = /^[„“”]+$/u.test(word) ? '"' : word;
      const count = quotes.get(quote) ?? 0;
      const closes = count % 2 === 1;
      // After a plural the apostrophe is a possessive: "the Jones' house".
      if (!closes && word === "'" && previous?.endsWith('s') === true) attach(word);
      else {
        if (closes) attach(word);
        else {
          text += before + word;
          before = '';
        }
        quotes.set(quote, count + 1);
      }
    } else {
      text += before + word;
      before = ' ';
    }
  }
  return strip(text.replace(/ {2,}/gu, ' '));
};
