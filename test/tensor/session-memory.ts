// A program for session.test.ts: creates one session over a mapped weight [4096, 4096] and prints by how many MB the
// process's anonymous memory grew. In a process of its own, since memory freed before would hide the growth.
import { readFileSync, writeFileSync } from 'node:fs';
import { GraphBuilder } from '../../tensor/builder.ts';
import { byteLength } from '../../tensor/dtype.ts';
import type { SessionOptions } from '../../tensor/session.ts';
import { createSession } from '../../tensor/session.ts';

const [setup = '', path = '', options = '{}'] = process.argv.slice(2);
const anonymous = (): number =>
  Number(/RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;

const size = 4096;

async function create(rows: number): Promise<void> {
  const dtype = setup === 'bfloat16' ? 'bfloat16' : 'float32';
  const bytes = byteLength(dtype, rows * rows);
  writeFileSync(path, new Uint8Array(bytes));
  const b = new GraphBuilder();
  const weight = b.external('w', dtype, [rows, rows], { path, offset: 0, bytes });
  const x = b.input('x', 'float32', [1, rows]);
  b.output('y', b.matmul(x, b.cast(weight, 'float32')));
  await createSession(b.build(), JSON.parse(options) as SessionOptions);
}

await create(16);
const before = anonymous();
await create(size);
process.stdout.write(String(anonymous() - before));
