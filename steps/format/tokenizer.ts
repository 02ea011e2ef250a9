// What format needs of a model: its chat template, and how many tokens a text has. Weights are never opened.

import { createHash } from 'node:crypto';
import { StepError, type InputArtifact } from '../../engine/step.ts';
import type { Chat } from '../../datasets/prompts/assemble.ts';
import { openModel } from '../../models/model.ts';
import { ChatTemplateError, renderChat } from '../../models/tokenizer/chat-template.ts';
import type { Tokenizer } from '../../models/tokenizer/tokenizer.ts';

export const tokenizerOf = async (
  model: InputArtifact | null,
  what: string,
): Promise<Tokenizer> => {
  if (model === null) {
    throw new StepError(
      'E567',
      `\`${what}\` needs the model's tokenizer, but there is no input \`model\``,
      'Add `model: <the load-model step>` to `inputs`.',
    );
  }
  const tokenizer = await openModel(model).tokenizer();
  if (tokenizer === null) throw new StepError('E567', `\`${what}\`: the model has no tokenizer`);
  return tokenizer;
};

/** Template of `chat.template`: `tokenizer`, or the Jinja text itself. */
export const chatOf = (
  tokenizer: Tokenizer,
  asked: { readonly system: string | null; readonly template: string },
): { readonly chat: Chat; readonly digest: string } => {
  const template = asked.template === 'tokenizer' ? tokenizer.chatTemplate : asked.template;
  if (template === null) {
    throw new StepError(
      'E564',
      'the model has no chat template',
      'A base model takes plain prompts: leave out `chat`. Else set chat.template, or chat_template of load-model.',
    );
  }
  const ends = tokenizer.eosTokenIds.flatMap((id) => tokenizer.idToToken(id) ?? []);
  return {
    digest: createHash('sha256').update(template).digest('hex'),
    chat: {
      system: asked.system,
      ends,
      render: (turns, addGenerationPrompt) => {
        try {
          return renderChat(template, turns, {
            addGenerationPrompt,
            specialTokens: tokenizer.specialTokens,
          });
        } catch (cause) {
          if (cause instanceof ChatTemplateError) {
            throw new StepError('E564', `chat template: ${cause.message}`);
          }
          throw cause;
        }
      },
    },
  };
};
