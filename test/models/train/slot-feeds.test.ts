// What a graph over slots is fed with, where rows are much shorter than the slot they are packed into.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelConfig } from '../../../models/config.ts';
import { ropeTables } from '../../../models/rope.ts';
import { slotFeeds } from '../../../models/slot-feeds.ts';

const config = (scaling: Record<string, string | number> | null) =>
  modelConfig({
    model_type: 'llama',
    architectures: ['LlamaForCausalLM'],
    vocab_size: 32,
    hidden_size: 16,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    max_position_embeddings: 128,
    rope_theta: 10_000,
    ...(scaling === null ? {} : { rope_scaling: scaling }),
  });

/** A slot of 1,200 places full of rows of 4 tokens. */
const packed = {
  slots: 1,
  length: 1200,
  longest: 4,
  positions: Int32Array.from({ length: 1200 }, (_, i) => i % 4),
  segments: Int32Array.from({ length: 1200 }, (_, i) => Math.floor(i / 4)),
};

for (const scaling of [null, { type: 'dynamic', factor: 2 }])
  test(`the runtime gets a rotary row for each place of a slot (${scaling?.type ?? 'plain'})`, () => {
    const read = config(scaling);
    const { cos } = slotFeeds(read, packed);
    assert.ok(cos !== undefined && read.positions.kind === 'rope');
    assert.ok((cos.shape[0] ?? 0) >= packed.length);
    // Frequencies are those of the longest row, not of the slot.
    const alone = ropeTables(read.positions.rope, packed.longest);
    assert.deepEqual((cos.data as Float32Array).subarray(0, alone.cos.length), alone.cos);
  });
