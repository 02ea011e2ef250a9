// The SHA-256 of a file, streamed.

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

export const sha256OfFile = async (
  path: string,
): Promise<{ readonly size: number; readonly sha256: string }> => {
  const hash = createHash('sha256');
  // One buffer for all of it: new memory for each piece would cost more than reading does.
  const buffer = Buffer.allocUnsafeSlow(1 << 20);
  let size = 0;
  await using file = await open(path);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size);
    if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
    hash.update(buffer.subarray(0, bytesRead));
    size += bytesRead;
  }
};
