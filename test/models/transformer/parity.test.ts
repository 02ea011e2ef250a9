// Logits and hidden states equal transformers' for every folder of goldens/architectures: a folder dropped in there
// is a test. Rows run together in one layout, so this also shows that a row doesn't see its neighbours.

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFloatTensors } from '../../../models/peft-files.ts';
import { sharedPath, skipUnlessShared } from '../../shared.ts';
import { forward, openGolden, readJson, relativeDifference, rowValues } from '../golden-model.ts';

const root = 'goldens/architectures';
const skip = skipUnlessShared(root);
const folders =
  skip === false
    ? readdirSync(sharedPath(root)).filter((name) =>
        existsSync(sharedPath(`${root}/${name}/inputs.json`)),
      )
    : ['architectures'];

interface Inputs {
  readonly sequences: readonly (readonly number[])[];
  readonly mean_nll_alone: readonly number[];
}

const tolerance = 1e-4;

for (const name of folders) {
  test(`${name}: logits and hidden states are the reference's`, { skip }, async () => {
    const folder = sharedPath(`${root}/${name}`);
    const { sequences } = readJson<Inputs>(join(folder, 'inputs.json'));
    const expected = readFloatTensors(join(folder, 'logits.safetensors'));
    const model = openGolden(folder);

    // Length-dependent rotary scaling is a property of the sequence alone: such models run row by row.
    const alone = name.includes('dynamic');
    const batches = alone ? sequences.map((row) => [row]) : [sequences];
    const rows: Float32Array[] = [];
    let hidden: ReadonlyMap<string, Float32Array> = new Map();
    for (const [index, batch] of batches.entries()) {
      const result = await forward(model, batch);
      const logits = result.values.get('logits') ?? new Float32Array();
      rows.push(...batch.map((_, row) => rowValues(result, logits, row)));
      if (index > 0) continue;
      hidden = new Map(
        [...result.values].map(([key, values]) => [key, rowValues(result, values, 0)]),
      );
    }
    for (const [index, row] of rows.entries()) {
      const reference = expected.get(`seq.${index}`);
      assert.ok(reference, `seq.${index}`);
      assert.ok(
        relativeDifference(row, reference.data) < tolerance,
        `sequence ${index}: logits differ by ${relativeDifference(row, reference.data)}`,
      );
    }
    const hiddenFile = join(folder, 'hidden.safetensors');
    if (!existsSync(hiddenFile)) return;
    for (const [key, reference] of readFloatTensors(hiddenFile)) {
      const difference = relativeDifference(hidden.get(key) ?? new Float32Array(), reference.data);
      assert.ok(difference < tolerance, `hidden state ${key} differs by ${difference}`);
    }
  });

  test(`${name}: the hub's config keys mean the same`, { skip }, () => {
    const folder = sharedPath(`${root}/${name}`);
    if (!existsSync(join(folder, 'config.v4.json'))) return;
    const now = openGolden(folder).config;
    assert.deepEqual(openGolden(folder, { configFile: 'config.v4.json' }).config, now);
  });
}

test(
  'rows packed into a slot longer than any rotary table give what each gives alone',
  { skip },
  async () => {
    const model = openGolden(sharedPath(`${root}/llama`));
    const rows = Array.from({ length: 30 }, (_, i) =>
      Array.from({ length: 15 + (i % 9) }, (_unused, j) => 3 + ((7 * i + 5 * j) % 180)),
    );
    // Attention that costs nothing makes one slot of all rows: 566 places.
    const together = await forward(model, rows, { attentionLength: 1e9 });
    assert.equal(together.batch.slots, 1);
    assert.ok(together.batch.length > 512);
    const all = together.values.get('logits') ?? new Float32Array();
    for (const index of [0, 17, 29]) {
      const alone = await forward(model, [rows[index] ?? []]);
      const reference = alone.values.get('logits') ?? new Float32Array();
      assert.ok(relativeDifference(rowValues(together, all, index), reference) < 1e-5);
    }
  },
);
