// What generate computes on, settled before anything is opened: the device is asked for once, and is there or the step
// fails.

import { statfsSync } from 'node:fs';
import { StepError } from '../../engine/step.ts';
import { halfBytes, hasInt8Rows, type WeightMode } from '../../models/checkpoint/layout.ts';
import type { Model } from '../../models/model.ts';
import type { Compute } from '../../models/tensors.ts';
import { computesInHalf } from '../../tensor/half-precision.ts';
import { saturates, type Device } from '../../tensor/session.ts';
import type { Settings } from './settings.ts';

export interface Place {
  readonly device: Device;
  readonly compute: Compute;
}

/** `dtype`: what the model was loaded as. Throws SessionError where the device isn't there. */
export const placeOf = async (
  { device, compute }: Pick<Settings, 'device' | 'compute'>,
  dtype: string,
): Promise<Place> => {
  if (device === 'cpu') return { device, compute: 'float32' };
  const half = await computesInHalf(device);
  if (compute === 'float16' && !half) {
    throw new StepError(
      'E576',
      `the device ${device} here can't compute in float16`,
      'leave compute out: it is then computed in float32',
    );
  }
  const chosen = compute ?? (half && dtype !== 'float32' ? 'float16' : 'float32');
  return { device, compute: chosen };
};

/** The form weights are mapped in. A GPU that lacks float16 can't read it either. */
export const weightMode = (dtype: string, { device, compute }: Place): WeightMode => {
  if (dtype === 'float32') return 'float32';
  return device === 'cpu' || compute === 'float16' ? 'stored' : 'packed';
};

/**
 * 16-bit floats up to so many bytes are written as float32 once, where the disk has room for twice that: mapped, they
 * open in half of the time and in less memory than when they are cast (bench/load.ts).
 */
const COPIED_BYTES = 2 * 2 ** 30;

/**
 * The same for a model's own tensors. Some processors need int8 rows as uint8. `derived`: where layouts are written.
 */
export const weightModeOf = async (
  { document, tensors }: Pick<Model, 'document' | 'tensors'>,
  place: Place,
  derived: string,
): Promise<WeightMode> => {
  const mode = weightMode(document.dtype, place);
  if (place.device !== 'cpu' || mode !== 'stored') return mode;
  if (hasInt8Rows(tensors()) && (await saturates())) return 'unsigned';
  const halves = halfBytes(tensors());
  if (halves === 0 || halves > COPIED_BYTES) return mode;
  const { bavail, bsize } = statfsSync(derived);
  return bavail * bsize > 4 * halves ? 'packed' : mode;
};
