// How the next token is chosen: the parameters of `generate` in text mode, as decoding uses them.
// Names are those of transformers' GenerationConfig, in camelCase.

export interface Decoding {
  readonly maxNewTokens: number;
  /** The end tokens are impossible before so many tokens were made. */
  readonly minNewTokens: number;
  /** 0: greedy. */
  readonly temperature: number;
  /** 0: off. */
  readonly topK: number;
  /** 1: off. */
  readonly topP: number;
  /** 0: off. */
  readonly minP: number;
  /** 1: off. */
  readonly repetitionPenalty: number;
  /** 0: off. */
  readonly noRepeatNgramSize: number;
  /** Text ends before the first of these. */
  readonly stop: readonly string[];
  /** Tokens that end a sequence. */
  readonly endTokens: readonly number[];
}

export const greedy = (maxNewTokens: number, endTokens: readonly number[] = []): Decoding => ({
  maxNewTokens,
  minNewTokens: 0,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  noRepeatNgramSize: 0,
  stop: [],
  endTokens,
});

/** Whether the token is simply the most probable one, so that logits need not leave the graph. */
export const isArgmax = (decoding: Decoding): boolean =>
  decoding.temperature === 0 &&
  decoding.repetitionPenalty === 1 &&
  decoding.noRepeatNgramSize === 0 &&
  decoding.minNewTokens === 0;
