// How text is made (mode text): the parameters, what doesn't go together, and what has no effect. Loaded to check an
// experiment, so it loads no runtime.

import type { Complaint } from '../../engine/step.ts';
import type { JsonObject } from '../../schemas/json.ts';

export const textParameters = {
  max_new_tokens: {
    type: 'integer',
    minimum: 1,
    default: 256,
    description: 'Tokens to make at most (text).',
  },
  min_new_tokens: {
    type: 'integer',
    minimum: 0,
    default: 0,
    description: 'No end token before so many tokens (text).',
  },
  temperature: {
    type: 'number',
    minimum: 0,
    default: 0,
    description: 'Divides the logits before drawing; 0 takes the most likely token (text).',
  },
  top_k: {
    type: 'integer',
    minimum: 0,
    default: 0,
    description: 'Draw from the k most likely tokens, ties included; 0: from all (text).',
  },
  top_p: {
    type: 'number',
    exclusiveMinimum: 0,
    maximum: 1,
    default: 1,
    description: 'Draw from the fewest tokens that hold this much probability (text).',
  },
  min_p: {
    type: 'number',
    minimum: 0,
    maximum: 1,
    default: 0,
    description:
      'Draw from tokens at least this many times as likely as the most likely one (text).',
  },
  repetition_penalty: {
    type: 'number',
    exclusiveMinimum: 0,
    default: 1,
    description: 'Makes tokens that were there before less likely; 1: off (text).',
  },
  no_repeat_ngram_size: {
    type: 'integer',
    minimum: 0,
    default: 0,
    description: 'No n-gram of this size twice; 0: off (text).',
  },
  stop: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [],
    description: 'The text ends before the first of these strings (text).',
  },
  num_beams: {
    type: 'integer',
    minimum: 1,
    default: 1,
    description:
      'Search with this many beams for the text of the highest score, instead of taking one token after the other; 1: off (text).',
  },
  length_penalty: {
    type: 'number',
    default: 1,
    description:
      'Exponent on the length that divides the log-probability of a beam; above 0 favours longer texts (text, with num_beams).',
  },
  early_stopping: {
    type: 'boolean',
    default: false,
    description:
      'Stop at the first num_beams finished texts, instead of when none can become better (text, with num_beams).',
  },
  num_return_sequences: {
    type: 'integer',
    minimum: 1,
    default: 1,
    description: 'Answers to each prompt; more than one get the ids `<id>#0`, `<id>#1` ... (text).',
  },
} as const;

const isText = (params: JsonObject): boolean => (params['mode'] ?? 'text') === 'text';

/** Whether tokens are drawn at random. */
export const samples = (params: JsonObject): boolean =>
  isText(params) && Number(params['temperature'] ?? 0) > 0;

export const textProblems = (params: JsonObject): readonly Complaint[] => {
  if (!isText(params)) return [];
  const problems: Complaint[] = [];
  if (Number(params['min_new_tokens'] ?? 0) > Number(params['max_new_tokens'] ?? 256)) {
    problems.push({
      pointer: '/min_new_tokens',
      message: 'min_new_tokens is greater than max_new_tokens',
    });
  }
  const sequences = Number(params['num_return_sequences'] ?? 1);
  const beams = Number(params['num_beams'] ?? 1);
  if (beams > 1 && samples(params)) {
    problems.push({
      pointer: '/num_beams',
      message: 'beams and drawing at random exclude each other',
      hint: 'leave out temperature or num_beams',
    });
  } else if (beams > 1 && sequences > beams) {
    problems.push({
      pointer: '/num_return_sequences',
      message: `${beams} beams give ${beams} answers at most`,
    });
  } else if (sequences > 1 && beams === 1 && !samples(params)) {
    problems.push({
      pointer: '/num_return_sequences',
      message: 'several answers to a prompt need a temperature above 0: greedy ones are all equal',
      hint: 'set temperature, for example 0.7, or num_beams',
    });
  }
  return problems;
};

type TextParameter = keyof typeof textParameters;

const drawing: readonly TextParameter[] = ['top_k', 'top_p', 'min_p'];
const searching: readonly TextParameter[] = ['length_penalty', 'early_stopping'];

/** Parameters that change nothing with the others: whoever wrote them expects that they do. */
export const withoutEffect = (params: JsonObject): readonly Complaint[] => {
  const mode = (params['mode'] ?? 'text') as string;
  const isSet = (key: TextParameter): boolean => {
    const off = textParameters[key].default;
    return JSON.stringify(params[key] ?? off) !== JSON.stringify(off);
  };
  const idle = (keys: readonly string[], why: string, hint: string): readonly Complaint[] =>
    keys.map((key) => ({
      pointer: `/${key}`,
      message: `${key} has no effect ${why}`,
      hint,
      warning: true,
    }));
  const ofOtherModes = [
    ...(mode === 'text' ? [] : (Object.keys(textParameters) as TextParameter[]).filter(isSet)),
    ...(mode === 'perplexity' || params['stride'] === undefined ? [] : ['stride']),
  ];
  const draws = mode !== 'text' || samples(params);
  const searches = mode !== 'text' || Number(params['num_beams'] ?? 1) > 1;
  return [
    ...idle(ofOtherModes, `with mode: ${mode}`, 'leave it out'),
    ...(draws ? [] : idle(drawing.filter(isSet), 'with temperature: 0', 'set temperature')),
    ...(searches ? [] : idle(searching.filter(isSet), 'without beams', 'set num_beams')),
  ];
};
