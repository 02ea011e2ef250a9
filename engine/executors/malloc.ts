// How workers should ask for memory: what glibc's malloc is told.
//
// Huge pages or not: gigabytes of weights are otherwise handed out 4 KB at a time, half of the time that a large model
// takes to open. Not so in a virtual machine whose free memory goes back to its host (virtio's free page reporting:
// Firecracker, cloud sandboxes): what goes back are the large blocks, so that a huge page has to be found by the host
// again, while small pages come from what was used a moment ago (bench/results.md).
//
// From which size on memory is mapped, and goes back when it is freed: unless told, malloc moves that border up, to 32 MB,
// with what is freed. While two threads pack weights (tensor/parted-session.ts) it then depends on which is ahead whether
// tensors fill holes or leave them, up to 200 MB of 2 GB.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Linux's list of devices that a host gives a virtual machine. */
const DEVICES = '/sys/bus/virtio/devices';

/** The memory balloon among them, and the bit of its features that means free page reporting (virtio 1.2, 5.5.3). */
const BALLOON = 5;
const REPORTING = 5;

/** False where it can't be known. */
export const givesMemoryBack = (devices = DEVICES): boolean => {
  try {
    return readdirSync(devices).some((device) => {
      const read = (name: string): string => readFileSync(join(devices, device, name), 'utf8');
      // Bits are written as characters, the lowest first.
      return Number(read('device')) === BALLOON && read('features')[REPORTING] === '1';
    });
  } catch {
    return false;
  }
};

/** 16 and 32 MiB. */
const FIXED_BORDERS = 'glibc.malloc.mmap_threshold=16777216:glibc.malloc.trim_threshold=33554432';

/** For workers, unless the user has set something. */
export const memoryTunables = (devices?: string): NodeJS.ProcessEnv => {
  if (process.platform !== 'linux') return {};
  const pages = givesMemoryBack(devices) ? '' : 'glibc.malloc.hugetlb=1:';
  return { GLIBC_TUNABLES: `${pages}${FIXED_BORDERS}` };
};
