// What the README and the tutorial show is checked: whole experiments by `mesa check`, links by looking.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Rig } from './rig.ts';
import { projectRoot } from './shared.ts';

const pages = ['README.md', 'docs/tutorial.md'];
const read = (page: string): string => readFileSync(join(projectRoot, page), 'utf8');

test('the README fits one screen', () => {
  assert.ok(read('README.md').split('\n').length <= 60);
});

for (const page of pages) {
  test(`${page}: experiments check clean`, async () => {
    const blocks = [...read(page).matchAll(/```yaml\n(name:[\s\S]*?)```/g)].map(
      (match) => match[1]!,
    );
    assert.ok(blocks.length > 0);
    const rig = new Rig();
    for (const [index, block] of blocks.entries()) {
      const file = `${index}.yaml`;
      rig.write(file, block);
      const { code, stderr } = await rig.run(['check', file]);
      assert.equal(code, 0, stderr);
    }
    await rig.dispose();
  });

  test(`${page}: links lead somewhere`, () => {
    for (const [, target = ''] of read(page).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      assert.ok(existsSync(join(projectRoot, dirname(page), target)), target);
    }
  });
}
