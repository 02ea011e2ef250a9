// Chat templates render as in transformers, errors included.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ChatTemplateError,
  renderChat,
  type ChatMessage,
} from '../../../models/tokenizer/chat-template.ts';
import { readSharedJson, skipUnlessShared } from '../../shared.ts';

interface Golden {
  readonly templates: Record<string, { bos: string; eos: string; template: string }>;
  readonly conversations: ChatMessage[][];
  readonly cases: {
    template: string;
    conversation: number;
    without_generation_prompt: string | { error: string };
    with_generation_prompt: string | { error: string };
  }[];
}

const path = 'goldens/templates/templates.json';
const skip = skipUnlessShared(path);
const golden = skip === false ? readSharedJson<Golden>(path) : null;

for (const [name, { bos, eos, template }] of Object.entries(golden?.templates ?? {}))
  test(`${name}: every conversation as transformers renders it`, () => {
    for (const each of golden?.cases ?? []) {
      if (each.template !== name) continue;
      const messages = golden?.conversations[each.conversation] ?? [];
      for (const addGenerationPrompt of [false, true]) {
        const wanted =
          each[addGenerationPrompt ? 'with_generation_prompt' : 'without_generation_prompt'];
        const render = (): string =>
          renderChat(template, messages, {
            addGenerationPrompt,
            specialTokens: { bos_token: bos, eos_token: eos },
          });
        if (typeof wanted === 'string') assert.equal(render(), wanted);
        else
          assert.throws(render, (error) => {
            assert.ok(error instanceof ChatTemplateError);
            assert.equal(error.message, wanted.error);
            return true;
          });
      }
    }
  });
test('the goldens of templates are here', { skip }, () => assert.ok(golden));

test('a date is shown only when one is given', () => {
  const template =
    "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}";
  const render = (today?: Date): string =>
    renderChat(template, [], {
      addGenerationPrompt: false,
      specialTokens: {},
      ...(today === undefined ? {} : { today }),
    });
  assert.equal(render(), '26 Jul 2024');
  assert.equal(render(new Date(2025, 0, 9)), '09 Jan 2025');
});

test('a template that cannot be parsed is a ChatTemplateError', () => {
  const options = { addGenerationPrompt: true, specialTokens: {} };
  assert.throws(() => renderChat('{% if %}', [], options), ChatTemplateError);
});
