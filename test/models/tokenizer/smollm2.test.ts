// A GGUF's own tokenizer and template give the ids and texts that transformers gives.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readGgufHeader } from '../../../models/checkpoint/gguf.ts';
import { renderChat, type ChatMessage } from '../../../models/tokenizer/chat-template.ts';
import { tokenizerFromGguf } from '../../../models/tokenizer/gguf-tokenizer.ts';
import { hfTokenizer } from '../../../models/tokenizer/hf-tokenizer.ts';
import { readSharedJson, sharedPath, skipUnlessShared } from '../../shared.ts';

const path = 'models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf';
const skip = skipUnlessShared(path, 'goldens/smollm2');

const load = () => {
  const gguf = readGgufHeader(sharedPath(path));
  const chatTemplate = String(gguf.metadata.get('tokenizer.chat_template'));
  return hfTokenizer({ ...tokenizerFromGguf(gguf), eosTokenIds: [], chatTemplate });
};

interface TextCase {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
  readonly decoded_without_special: string;
}
type ChatCase = { readonly messages: ChatMessage[] } & Record<
  `add_generation_prompt=${boolean}`,
  { readonly text: string; readonly ids: number[] }
>;

test('ids, decoded and streamed text of every golden', { skip }, () => {
  const tokenizer = load();
  const { cases } = readSharedJson<{ cases: TextCase[] }>('goldens/smollm2/tokenizer.json');
  assert.equal(cases.length, 60);
  for (const { text, ids, decoded, decoded_without_special: plain } of cases) {
    assert.deepEqual(tokenizer.encode(text), ids, text);
    assert.equal(tokenizer.decode(ids), decoded);
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), plain);
    for (const skipSpecialTokens of [false, true]) {
      const stream = tokenizer.streamingDecoder({ skipSpecialTokens });
      const whole = skipSpecialTokens ? plain : decoded;
      let streamed = '';
      for (const id of ids) {
        const piece = stream.push(id);
        // Never half a character: what is out already is a part of the whole text.
        streamed += piece;
        assert.ok(whole.startsWith(streamed), `${JSON.stringify(streamed)} of ${whole}`);
      }
      assert.equal(streamed + stream.end(), whole);
    }
  }
  assert.equal(tokenizer.vocabSize, 49152);
  assert.deepEqual(tokenizer.eosTokenIds, [2]);
});

test('conversations through the template of the file', { skip }, () => {
  const tokenizer = load();
  const { cases } = readSharedJson<{ cases: ChatCase[] }>('goldens/smollm2/chat.json');
  for (const golden of cases)
    for (const addGenerationPrompt of [false, true]) {
      const { text, ids } = golden[`add_generation_prompt=${addGenerationPrompt}`];
      const { specialTokens, chatTemplate } = tokenizer;
      const rendered = renderChat(chatTemplate ?? '', golden.messages, {
        addGenerationPrompt,
        specialTokens,
      });
      assert.equal(rendered, text);
      assert.deepEqual(tokenizer.encode(rendered), ids);
    }
});
