// The integer product of int8 rows with rounded activations, against bitsandbytes' codes: it is exactly the product of
// both dequantised matrices.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSafetensorsHeader } from '../../../models/checkpoint/safetensors.ts';
import { storedLinears } from '../../../models/linear.ts';
import { ModelTensors } from '../../../models/tensors.ts';
import type { Weight } from '../../../models/weights.ts';
import { GraphBuilder } from '../../../tensor/builder.ts';
import { createSession } from '../../../tensor/session.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';

const path = 'goldens/quantization/int8.safetensors';

test('int8 rows times rounded activations', { skip: skipUnlessShared(path) }, async () => {
  const file = sharedPath(path);
  const header = readSafetensorsHeader(file);
  const codes = header.tensors.get('weight.codes');
  assert.ok(codes);
  const [n = 0, k = 0] = codes.shape;
  const folder = mkdtempSync(join(tmpdir(), 'mesa-int8-'));
  const bytes = readFileSync(file);
  const floats = (name: string): Float32Array => {
    const found = header.tensors.get(name);
    assert.ok(found, name);
    const start = bytes.byteOffset + found.data.offset;
    return new Float32Array(bytes.buffer.slice(start, start + found.data.bytes));
  };
  const scales = floats('weight.row_absmax').map((absmax) => absmax / 127);
  const scalesPath = join(folder, 'scales');
  writeFileSync(scalesPath, scales);
  const weight: Weight = {
    kind: 'int8-rows',
    codes: 'int8',
    shape: [n, k],
    data: codes.data,
    scales: { path: scalesPath, offset: 0, bytes: scales.byteLength },
  };
  const source = {
    names: ['layer.weight'],
    get: (name: string) => (name === 'layer.weight' ? weight : undefined),
    read: () => new Float32Array(),
  };
  const g = new GraphBuilder();
  const tensors = new ModelTensors(g, source);
  const x = g.input('x', 'float32', ['M', k]);
  g.output('y', storedLinears(tensors, { activations: 'int8' }).apply('layer', x));
  const session = await createSession(g.build());
  const input = floats('x.input');
  const rows = input.length / k;
  // A row of zeros behind the others must stay zeros.
  const padded = new Float32Array(input.length + k);
  padded.set(input);
  const { y } = await session.run({ x: { data: padded, shape: [rows + 1, k] } });
  await session.release();
  rmSync(folder, { recursive: true });

  const left = floats('x.dequantized');
  const right = floats('weight.dequantized');
  assert.ok(y);
  for (let row = 0; row <= rows; row += 1)
    for (let column = 0; column < n; column += 1) {
      let expected = 0;
      for (let at = 0; at < k && row < rows; at += 1)
        expected += (left[row * k + at] ?? 0) * (right[column * k + at] ?? 0);
      const got = Number(y.data[row * n + column]);
      assert.ok(Math.abs(got - expected) < 1e-4, `${row}, ${column}: ${got} for ${expected}`);
    }
});
