// What generate computes on, settled before anything is opened: the device is asked for once, and is there or the step
// fails.

import { StepError } from '../../engine/step.ts';
import { hasInt8Rows, type WeightMode } from '../../models/checkpoint/layout.ts';
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

/** The same for a model's own tensors: some processors need int8 rows as uint8. */
export const weightModeOf = async (
  { document, tensors }: Pick<Model, 'document' | 'tensors'>,
  place: Place,
): Promise<WeightMode> => {
  const mode = weightMode(document.dtype, place);
  const integers = place.device === 'cpu' && mode === 'stored' && hasInt8Rows(tensors());
  return integers && (await saturates()) ? 'unsigned' : mode;
};
