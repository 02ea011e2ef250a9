// Whether there is a WebGPU adapter to test with. SwiftShader, a software driver from Debian's chromium-common, will do:
// VK_ICD_FILENAMES=.../vk_swiftshader_icd.json XDG_RUNTIME_DIR=/tmp, and libvulkan1. It has no half precision; lavapipe
// of Mesa 25 does (that of Mesa 22.3 is refused).

import assert from 'node:assert/strict';
import { GraphBuilder } from '../../tensor/builder.ts';
import { computesInHalf } from '../../tensor/half-precision.ts';
import { SessionError, createSession } from '../../tensor/session.ts';

/** Why there is no adapter, or undefined where there is one. */
async function missingAdapter(): Promise<string | undefined> {
  const b = new GraphBuilder();
  b.output('y', b.neg(b.input('x', 'float32', [1])));
  try {
    const session = await createSession(b.build(), { device: 'webgpu' });
    await session.release();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof SessionError && error.code === 'device-missing', String(error));
    return 'no WebGPU adapter here';
  }
}

/** A reason to skip tests on WebGPU, or false. Asking without a driver prints the runtime's own complaints. */
export const noAdapter: string | false =
  process.env['VK_ICD_FILENAMES'] === undefined && process.platform === 'linux'
    ? 'VK_ICD_FILENAMES names no Vulkan driver'
    : ((await missingAdapter()) ?? false);

/** Likewise for tests of half precision there. */
export const noHalfPrecision: string | false =
  noAdapter !== false
    ? noAdapter
    : (await computesInHalf('webgpu'))
      ? false
      : 'the WebGPU adapter here has no half precision';
