// Drafts -> prompts as the model gets them: few-shot examples before the question, or a conversation in the chat
// template. Text only; it knows no tokenizer.

import { DataError } from '../error.ts';
import type { Draft, Turn } from './draft.ts';

export interface Chat {
  readonly system: string | null;
  render(turns: readonly Turn[], addGenerationPrompt: boolean): string;
  /** Texts of the tokens that end a turn or a text. */
  readonly ends: readonly string[];
}

export interface Assembled {
  readonly prompt: string;
  readonly turns: readonly Turn[] | null;
  readonly completion: string | null;
  /** Choice texts, each exactly as it is appended to the prompt. */
  readonly choices:
    readonly { readonly label: string; readonly text: string; readonly option?: string }[] | null;
}

/** How a chat template wraps an answer: what it puts before it, and whether an end token follows. */
export interface ChatFrame {
  readonly lead: string;
  readonly endsTurn: boolean;
}

const SHOT_DELIMITER = '\n\n';
const PROBE = 'probe';

/** What follows the generation prompt once the answer is there, up to its first end token. */
const continuation = (chat: Chat, turns: readonly Turn[], answer: string): string => {
  const prompt = chat.render(turns, true);
  const full = chat.render([...turns, { role: 'assistant', content: answer }], false);
  if (!full.startsWith(prompt)) {
    throw new DataError(
      'E564',
      'the chat template writes an answered conversation differently from its generation prompt followed by the answer',
      'Training on its answers would not teach what generation asks for. Use another `chat.template`.',
    );
  }
  const rest = full.slice(prompt.length);
  const from = rest.indexOf(answer.trim()) + answer.trim().length;
  const ends = chat.ends
    .map((end) => ({ end, at: end === '' ? -1 : rest.indexOf(end, from) }))
    .filter(({ at }) => at !== -1)
    .toSorted((a, b) => a.at - b.at || b.end.length - a.end.length);
  const first = ends[0];
  return first === undefined ? rest : rest.slice(0, first.at + first.end.length);
};

export const chatFrame = (chat: Chat): ChatFrame => {
  const rest = continuation(
    chat,
    systemTurns(chat.system, [{ role: 'user', content: PROBE }]),
    PROBE,
  );
  const at = rest.indexOf(PROBE);
  if (at === -1) throw new DataError('E564', "the chat template leaves out the assistant's answer");
  return {
    lead: rest.slice(0, at),
    endsTurn: chat.ends.some((end) => end !== '' && rest.endsWith(end)),
  };
};

const systemTurns = (system: string | null, turns: readonly Turn[]): Turn[] =>
  system === null || system === '' ? [...turns] : [{ role: 'system', content: system }, ...turns];

const answered = (draft: Draft): string => {
  if (draft.target === null) throw new DataError('E565', 'a few-shot example has no answer');
  return draft.target;
};

export const assembleText = (draft: Draft, shots: readonly Draft[]): Assembled => {
  const examples = shots
    .map((shot) => `${shot.body}${shot.delimiter}${answered(shot)}${SHOT_DELIMITER}`)
    .join('');
  const append = (text: string): string => `${draft.delimiter}${text}`;
  return {
    prompt: `${draft.description}${examples}${draft.body}`,
    turns: null,
    completion: draft.target === null ? null : append(draft.target),
    choices: draft.choices?.map((choice) => ({ ...choice, text: append(choice.text) })) ?? null,
  };
};

export const assembleChat = (
  draft: Draft,
  shots: readonly Draft[],
  chat: Chat,
  frame: ChatFrame,
): Assembled => {
  const system = [chat.system ?? '', draft.description.trimEnd()].filter((text) => text !== '');
  const turns = systemTurns(system.join('\n\n'), [
    ...shots.flatMap((shot) => [...shot.turns, { role: 'assistant', content: answered(shot) }]),
    ...draft.turns,
  ]);
  return {
    prompt: chat.render(turns, true),
    turns,
    completion: draft.target === null ? null : continuation(chat, turns, draft.target),
    choices:
      draft.choices?.map((choice) => ({ ...choice, text: `${frame.lead}${choice.text}` })) ?? null,
  };
};
