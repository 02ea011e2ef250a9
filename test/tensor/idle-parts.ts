// A program for parted-session.test.ts: runs a session of two parts once and doesn't release it.

import { join } from 'node:path';
import { createPartedSession } from '../../tensor/parted-session.ts';
import { layeredGraph } from './layered-graph.ts';

const paths = Array.from({ length: 4 }, (_, layer) => join(process.argv[2] ?? '', `idle-${layer}`));
const { graph, feeds } = layeredGraph(paths);
const session = await createPartedSession(graph, { parts: 2 });
await session.run(feeds);
process.stdout.write(`${session.parts} parts, then nothing`);
