// Whether a device computes in float16. WebGPU adapters may lack it (the feature shader-f16), and the runtime says so
// only when a shader is made: a product of two small matrices is run to see.
import { GraphBuilder } from './builder.ts';
import type { Device } from './session.ts';
import { SessionError, createSession } from './session.ts';

/** Devices where half precision is worth asking for. CoreML decides by itself what it computes in. */
export const halfDevices: readonly Device[] = ['webgpu', 'cuda'];

/** Throws SessionError where the device isn't there. */
export async function computesInHalf(device: Device): Promise<boolean> {
  if (!halfDevices.includes(device)) return false;
  const b = new GraphBuilder();
  const x = b.cast(b.input('x', 'float32', [2, 2]), 'float16');
  b.output('y', b.cast(b.matmul(x, x), 'float32'));
  try {
    const session = await createSession(b.build(), { device, quiet: true });
    try {
      const { y } = await session.run({
        x: { data: Float32Array.from([1, 2, 3, 4]), shape: [2, 2] },
      });
      return Array.from(y?.data ?? [], Number).join() === '7,10,15,22';
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof SessionError && error.code !== 'device-missing') return false;
    throw error;
  }
}
