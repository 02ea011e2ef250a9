// Rules about text and tokens that need no model: stop strings, context and continuation, windows, cache places.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyValueCache } from '../../../models/decode/cache.ts';
import { encodePair, truncateLeft } from '../../../models/decode/continuations.ts';
import { findStop, stopWatch } from '../../../models/decode/stop.ts';
import { slidingWindows } from '../../../models/decode/windows.ts';

/** A tokenizer whose tokens are pieces of one to three bytes, so that characters and stop strings are cut anywhere. */
const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 3 }), { maxLength: 40 });
const detokenizer =
  (vocabulary: readonly Uint8Array[]) =>
  (ids: readonly number[]): string =>
    Buffer.concat(ids.map((id) => vocabulary[id] ?? Buffer.of())).toString('utf8');

test('a stop string is noticed with the token that completes it', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.infiniteStream(fc.integer({ min: 1, max: 3 })),
      (text, stops, sizes) => {
        const bytes = Buffer.from(text, 'utf8');
        const vocabulary: Uint8Array[] = [];
        for (let at = 0; at < bytes.length;) {
          const size: number = sizes.next().value as number;
          vocabulary.push(bytes.subarray(at, at + size));
          at += size;
        }
        const detokenize = detokenizer(vocabulary);
        const stopped = stopWatch(stops, detokenize);
        const ids: number[] = [];
        let noticed = false;
        for (let id = 0; id < vocabulary.length && !noticed; id += 1) {
          ids.push(id);
          noticed = stopped(ids);
          assert.equal(
            noticed,
            findStop(detokenize(ids), stops) >= 0,
            `after ${ids.length} tokens`,
          );
        }
      },
    ),
  );
});

test('the stop watch never fires without a stop string', () => {
  fc.assert(
    fc.property(pieces, (vocabulary) => {
      const detokenize = detokenizer(vocabulary);
      const stopped = stopWatch(['\u{1F6D1}stop'], detokenize);
      const ids = vocabulary.map((_, id) => id);
      assert.equal(stopped(ids), detokenize(ids).includes('\u{1F6D1}stop'));
    }),
  );
});

/** One token a word, its leading space included. */
const encode = (text: string): number[] =>
  (text.match(/ ?[^ ]+| +/g) ?? []).map(
    (word) => [...word].reduce((sum, c) => sum * 31 + c.charCodeAt(0), 7) % 997,
  );

const rule = { special: false, prefixToken: 1 };

test('spaces that end the context belong to the continuation', () => {
  const { context, continuation } = encodePair(encode, 'the answer is  \n', 'B', rule);
  assert.deepEqual(context, encode('the answer is'));
  assert.deepEqual(continuation, encode('the answer is  \nB').slice(context.length));
});

test('an empty context is the prefix token', () => {
  assert.deepEqual(encodePair(encode, '', 'two words', rule), {
    context: [1],
    continuation: encode('two words'),
  });
});

test('truncation takes from the left of the context and leaves at least one token of it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 20, max: 60 }),
      (contextLength, continuationLength, maxLength) => {
        const context = Array.from({ length: contextLength }, (_, index) => index);
        const continuation = Array.from({ length: continuationLength }, (_, index) => 100 + index);
        const cut = truncateLeft({ context, continuation }, maxLength);
        const whole = [...context, ...continuation];
        assert.deepEqual([...cut.context, ...cut.continuation], whole.slice(-(maxLength + 1)));
        assert.ok(cut.context.length >= 1);
        assert.deepEqual(cut.continuation, continuation);
      },
    ),
  );
});

test('windows score every token once, with as much context as fits', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 200 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 2, max: 40 }),
      fc.integer({ min: 1, max: 40 }),
      (length, firstScored, maxLength, someStride) => {
        const from = Math.min(firstScored, length - 1);
        const stride = Math.min(someStride, maxLength);
        const windows = slidingWindows(length, from, maxLength, stride);
        let next = from;
        for (const window of windows) {
          assert.ok(window.from >= 1);
          assert.ok(window.end - window.start <= maxLength + 1);
          assert.equal(window.start + window.from, next);
          assert.ok(window.start === 0 || window.end - window.start === maxLength + 1);
          next = window.end;
        }
        assert.equal(next, length);
      },
    ),
  );
});

test('a cache keeps its rows when it grows and when rows move', () => {
  const shape = { dtype: 'float32', layers: 2, kvHeads: 3, headDim: 2 } as const;
  const cache = new KeyValueCache(shape, 2, 1);
  const valueOf = (
    array: number,
    place: number,
    head: number,
    position: number,
    d: number,
  ): number => 1 + d + 2 * (position + 200 * (head + 3 * (place + 2 * array)));
  const present = (place: number, position: number): Float32Array => {
    const values: number[] = [];
    for (let array = 0; array < 4; array += 1)
      for (let head = 0; head < 3; head += 1)
        for (let d = 0; d < 2; d += 1) values.push(valueOf(array, place, head, position, d));
    return Float32Array.from(values);
  };
  for (let position = 0; position < 150; position += 1) {
    cache.reserve(position + 1);
    for (const place of [0, 1]) cache.write(present(place, position), 1, 0, place, position);
  }
  cache.reserve(700);
  cache.trim(150);
  const moved = new KeyValueCache(shape, 3, 150);
  moved.copyFrom(cache, 1, 2, 150);
  assert.equal(cache.capacity, 192);
  const check = (target: KeyValueCache, at: number, place: number): void => {
    target.arrays.forEach((data, array) => {
      for (let head = 0; head < 3; head += 1)
        for (let position = 0; position < 150; position += 1)
          for (let d = 0; d < 2; d += 1) {
            const index = ((at * 3 + head) * target.capacity + position) * 2 + d;
            assert.equal(data[index], valueOf(array, place, head, position, d));
          }
    });
  };
  check(cache, 0, 0);
  check(cache, 1, 1);
  check(moved, 2, 1);
});
