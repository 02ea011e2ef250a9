// Numbers, tables and small plots: text that people read columns of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import stringWidth from 'string-width';
import {
  ago,
  bytes,
  duration,
  elapsed,
  exponent,
  general,
  integer,
  signed,
} from '../../ui/format.ts';
import { addSample, noPace, timeLeftMs } from '../../ui/pace.ts';
import { bar, braille, sparkline } from '../../ui/plot.ts';
import { addPoint, noSeries } from '../../ui/series.ts';
import { table, truncate } from '../../ui/table.ts';

test('numbers', () => {
  assert.deepEqual([0, 999, 1840, 12345, -1234567].map(integer), [
    '0',
    '999',
    '1840',
    '12\u202f345',
    '-1\u202f234\u202f567',
  ]);
  assert.deepEqual(
    [0.056, -0.027, 0, -0.0001].map((v) => signed(v, 3)),
    ['+0.056', '-0.027', '0.000', '-0.000'],
  );
  assert.deepEqual(
    [2e-4, 1.5e-5, 0, NaN].map((v) => exponent(v)),
    ['2.0e-4', '1.5e-5', '0', 'NaN'],
  );
  assert.deepEqual([3, 0.123456, 12345.6, 1e-7, Infinity].map(general), [
    '3',
    '0.1235',
    '12\u202f346',
    '1.00e-7',
    'inf',
  ]);
});

test('times and sizes', () => {
  assert.deepEqual(
    [0, 420, 9949, 9950, 59_499, 102_000, 3_599_000, 3_600_000, 11_100_000, 90_000_000].map(
      duration,
    ),
    ['0.0s', '0.4s', '9.9s', '10s', '59s', '1m 42s', '59m 59s', '1h 00m', '3h 05m', '1d 1h'],
  );
  assert.deepEqual([0, 351_000, 3_723_000].map(elapsed), ['00:00', '05:51', '1:02:03']);
  assert.deepEqual([0, 999, 1000, 8_000_000, 9_960_000, 3.1e9].map(bytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '8.0 MB',
    '10 MB',
    '3.1 GB',
  ]);
  const at = Date.UTC(2026, 0, 15, 12);
  assert.deepEqual(
    [1e3, 5 * 6e4, 3 * 36e5, 30 * 36e5, 5 * 864e5].map((ms) => ago(at - ms, at)),
    ['just now', '5 min ago', '3 h ago', 'yesterday', '5 days ago'],
  );
});

test('a duration never has a part that is full', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e10 }), (ms) => {
      assert.doesNotMatch(duration(ms), /\b(60s|60m|24h)\b/);
    }),
  );
});

test('columns stand under each other whatever the characters', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string()), { minLength: 1 }),
      (rows) => {
        const clean = rows.map((row) => row.map((cell) => cell.replaceAll(/[\p{C}\s]/gu, '')));
        const lines = table(
          [{ title: 'a' }, { title: 'b' }],
          clean.map(([a = '', b = '']) => [a, `|${b}`]),
        );
        const positions = lines
          .slice(1)
          .map((line) => stringWidth(line.slice(0, line.indexOf('|', 0))));
        const first = clean.map(([a = '']) => a);
        if (first.every((cell) => !cell.includes('|'))) assert.equal(new Set(positions).size, 1);
      },
    ),
  );
});

test('optional columns go, last first, where the line would be too long', () => {
  const columns = [
    { title: 'name' },
    { title: 'one', optional: true },
    { title: 'two', optional: true },
  ];
  const rows = [['abcdef', '11111', '22222']];
  assert.deepEqual(table(columns, rows, { width: 20 }), [
    'name    one    two',
    'abcdef  11111  22222',
  ]);
  assert.deepEqual(table(columns, rows, { width: 19 }), ['name    one', 'abcdef  11111']);
  assert.deepEqual(table(columns, rows, { width: 5 }), ['name', 'abcdef']);
});

test('truncate never exceeds its width and says that it cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat({ max: 20 }), (text, width) => {
      const cut = truncate(text, width);
      assert.ok(stringWidth(cut) <= width);
      assert.ok(cut === text || width === 0 || cut.endsWith('…'));
    }),
  );
});

test('time left: from the pace of what was done now, and not before it can be told', () => {
  let pace = noPace;
  for (let step = 300; step <= 309; step += 1) pace = addSample(pace, step * 1000, step);
  assert.equal(timeLeftMs(pace, 800), null);
  pace = addSample(pace, 310_000, 310);
  assert.equal(timeLeftMs(pace, 800), 490_000);
  assert.equal(timeLeftMs(pace, null), null);
  assert.equal(timeLeftMs(addSample(pace, 311_000, 0), 800), null);
});

test('a series stays small and its average is that of its values', () => {
  let series = noSeries;
  for (let i = 0; i < 10_000; i += 1) series = addPoint(series, 2);
  assert.ok(series.points.length < 512);
  assert.ok(Math.abs((series.ema ?? 0) - 2) < 1e-9);
  assert.equal(addPoint(noSeries, 3).ema, 3);
  assert.deepEqual(addPoint(series, NaN).points, series.points);
});

test('plots are as wide as they are asked to be', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1, maxLength: 400 }),
      fc.integer({ min: 1, max: 80 }),
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, width, height, share) => {
        const lines = braille(values, width, height, share);
        assert.equal(lines.length, height);
        for (const line of lines) assert.equal(stringWidth(line), width);
        assert.equal(stringWidth(sparkline(values, width)), Math.min(width, values.length));
        assert.equal(stringWidth(bar(share, width)), width);
      },
    ),
  );
  assert.deepEqual(braille([0, 1, 2, 3], 2, 1), ['⡠⠊']);
  assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8), '▁▂▃▄▅▆▇█');
  assert.equal(bar(0.5, 5), '██▌░░');
});
