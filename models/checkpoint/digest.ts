// The SHA-256 of a file, streamed.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

export const sha256OfFile = async (
  path: string,
): Promise<{ readonly size: number; readonly sha256: string }> => {
  const hash = createHash('sha256');
  let size = 0;
  const source: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: 1 << 20 });
  for await (const chunk of source) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest('hex') };
};
