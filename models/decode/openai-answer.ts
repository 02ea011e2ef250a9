// What is in the answers of OpenAI's chat and completion endpoints: text, or log-probabilities of an echoed prompt.
// Pure functions of the JSON that the server sent.

import { isRecord, type JsonRecord } from '../checkpoint/json.ts';
import { ServerError } from './openai-client.ts';

export interface AnsweredText {
  readonly text: string;
  readonly finishReason: 'stop' | 'length' | 'eos';
  /** As the server counts them; null where it doesn't say. */
  readonly tokens: number | null;
}

const firstChoice = (json: JsonRecord): JsonRecord => {
  const choices = json['choices'];
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  if (isRecord(choice)) return choice;
  throw new ServerError('unsupported', 'the server sent an answer without choices');
};

const countIn = (json: JsonRecord, key: string): number | null => {
  const usage = json['usage'];
  const count = isRecord(usage) ? usage[key] : undefined;
  return typeof count === 'number' && Number.isSafeInteger(count) ? count : null;
};

/** `stops`: whether stop strings were asked for; servers call both ends "stop". */
export const readText = (json: JsonRecord, stops: boolean): AnsweredText => {
  const choice = firstChoice(json);
  const { message } = choice;
  // A refusal, or a model that spent all its tokens thinking, has content null.
  const text = isRecord(message) ? (message['content'] ?? '') : choice['text'];
  if (typeof text !== 'string')
    throw new ServerError('unsupported', 'the server sent an answer without text');
  const reason = choice['finish_reason'];
  // vLLM says which string stopped it.
  const stopped =
    typeof choice['stop_reason'] === 'string' || (stops && choice['stop_reason'] === undefined);
  return {
    text,
    finishReason: reason === 'length' ? 'length' : stopped ? 'stop' : 'eos',
    tokens: countIn(json, 'completion_tokens'),
  };
};

export interface AnsweredLikelihood {
  readonly logprob: number;
  readonly tokens: number;
  readonly isGreedy: boolean;
}

/** Which of the echoed tokens are scored: the end of the prompt that spells `text`, the last `count`, or all. */
export type Scored = { readonly text: string } | { readonly count: number } | 'all';

const cannot = (what: string): ServerError =>
  new ServerError(
    'unsupported',
    `the server ${what}: it can't say how likely given texts are`,
    'vLLM can (completions with echo and logprobs); llama.cpp and Ollama only speak of tokens they made: use mode: text, or a local model',
  );

interface EchoedToken {
  readonly text: string;
  /** Null for the first. */
  readonly logprob: number | null;
  readonly isTop: boolean;
}

export const readLikelihood = (json: JsonRecord, scored: Scored): AnsweredLikelihood => {
  const prompt = echoedPrompt(json);
  const from =
    scored === 'all'
      ? prompt.findIndex(({ logprob }) => logprob !== null)
      : 'count' in scored
        ? prompt.length - scored.count
        : startOf(prompt, scored.text);
  const tokens = prompt.slice(from);
  if (from < 0 || tokens.length === 0) throw cannot('echoed fewer tokens than the prompt has');
  let logprob = 0;
  for (const token of tokens) {
    // Nothing comes before the first token, so nothing was computed for it.
    if (token.logprob === null)
      throw new ServerError(
        'unsupported',
        'the scored text begins with the first token, which has no log-probability',
        'give the row a prompt before it',
      );
    logprob += token.logprob;
  }
  return { logprob, tokens: tokens.length, isGreedy: tokens.every(({ isTop }) => isTop) };
};

const echoedPrompt = (json: JsonRecord): readonly EchoedToken[] => {
  const { logprobs } = firstChoice(json);
  if (!isRecord(logprobs)) throw cannot('sent no log-probabilities');
  const { tokens, token_logprobs: values, top_logprobs: tops } = logprobs;
  if (!Array.isArray(tokens) || !Array.isArray(values) || tokens.length !== values.length)
    throw cannot('sent log-probabilities of another form');
  const made = countIn(json, 'completion_tokens') ?? 1;
  const length = Math.min(countIn(json, 'prompt_tokens') ?? Infinity, tokens.length - made);
  if (length < 1) throw cannot('did not echo the prompt');
  return tokens.slice(0, length).map((text: unknown, index): EchoedToken => {
    const value: unknown = values[index];
    const top: unknown = Array.isArray(tops) ? tops[index] : null;
    const best = isRecord(top)
      ? Math.max(...Object.values(top).filter((each) => typeof each === 'number'))
      : NaN;
    if (value !== null && typeof value !== 'number')
      throw cannot('sent log-probabilities of another form');
    return { text: String(text), logprob: value, isTop: value !== null && value >= best };
  });
};

/** The first token of the end that spells `text`; one that straddles the border counts, as in lm-evaluation-harness. */
const startOf = (prompt: readonly EchoedToken[], text: string): number => {
  let tail = '';
  for (let index = prompt.length - 1; index >= 0; index -= 1) {
    tail = (prompt[index]?.text ?? '') + tail;
    if (tail.length < text.length) continue;
    if (tail.endsWith(text)) return index;
    break;
  }
  throw cannot(`echoed tokens that do not spell ${JSON.stringify(text.slice(0, 40))}`);
};
