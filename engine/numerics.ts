// The numerics class: within it the same key gives the same bits, across it results are equal in meaning only.
// Reads versions and processor features; loads no runtime.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import type { Numerics } from './key.ts';

const RUNTIME = 'onnxruntime';

/** Instruction sets that choose other kernels in ONNX Runtime's CPU provider (MLAS platform.cpp). */
const FEATURES = `avx2 fma avx512f avx512_bf16 avx512_vnni avx_vnni amx_int8 amx_bf16
  asimddp i8mm bf16 sve sve2`.split(/\s+/);

const processor = (): string => {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    const flags = new Set((line ?? '').split(' '));
    return FEATURES.filter((name) => flags.has(name)).join('+');
  } catch {
    // Elsewhere the processor's name says as much.
    return (cpus()[0]?.model ?? 'unknown').trim().replaceAll(/\s+/g, '-');
  }
};

let version: string | undefined;
export const runtimeVersion = (): string => {
  version ??= (() => {
    try {
      const require = createRequire(import.meta.url);
      return (require('onnxruntime-node/package.json') as { version: string }).version;
    } catch {
      return 'unknown';
    }
  })();
  return version;
};

/** What enters a key. */
export const numericsOf = (device: string | null): Numerics | null =>
  device === null ? null : { runtime: RUNTIME, device, arch: process.arch };

let isa: string | undefined;

/** "onnxruntime 1.30.0 cpu x64 avx2+fma+avx512f"; a GPU's device string names model and driver itself. */
export const numericsClass = (numerics: Numerics | null): string | null =>
  numerics === null
    ? null
    : [
        numerics.runtime,
        runtimeVersion(),
        numerics.device,
        numerics.arch,
        (isa ??= processor()),
      ].join(' ');

export const runtimeLabel = (): string => `${RUNTIME} ${runtimeVersion()}`;
