// Every operator on the runtime's CPU kernels against plain TypeScript, and its declared shapes against what comes out.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../tensor/builder.ts';
import { fromNumbers } from '../../tensor/dtype.ts';
import type { OpKind } from '../../tensor/ops.ts';
import { operators } from '../../tensor/ops.ts';
import type { Feed } from '../../tensor/session.ts';
import { createSession } from '../../tensor/session.ts';
import type { OpCase } from './op-cases/case.ts';
import { opCases } from './op-cases.ts';

async function check(kind: OpKind, example: OpCase): Promise<void> {
  const b = new GraphBuilder();
  const feeds: Record<string, Feed> = {};
  const inputs = example.given.map(({ dtype, shape, data }, i) => {
    feeds[`x${i}`] = { data: fromNumbers(dtype, data), shape };
    return b.input(`x${i}`, dtype, shape);
  });
  const outputs = example.build(b, inputs);
  assert.ok(
    b.tape.some((entry) => entry.kind === kind),
    `the case has no ${kind}`,
  );
  outputs.forEach((value, i) => b.output(`y${i}`, value));
  const session = await createSession(b.build());
  const result = await session.run(feeds);
  await session.release();
  assert.equal(outputs.length, example.expected.length);
  outputs.forEach((value, i) => {
    const { data, shape } = result[`y${i}`]!;
    assert.deepEqual([...shape], [...value.shape], 'declared shape');
    const found = Array.from(data, Number);
    const expected = example.expected[i]!;
    assert.equal(found.length, expected.length);
    const tolerance = example.tolerance ?? 2e-6;
    found.forEach((number, at) => {
      const error = Math.abs(number - expected[at]!) / Math.max(1, Math.abs(expected[at]!));
      assert.ok(error <= tolerance, `y${i}[${at}] is ${number}, not ${expected[at]}`);
    });
  });
}

describe('every operator', () => {
  for (const kind of Object.keys(operators) as OpKind[]) {
    for (const example of opCases[kind]) {
      test(`${kind} ${example.name ?? ''}`.trim(), () => check(kind, example));
    }
  }
});
