// What users can do something about in models and devices, as a failed step.

import { StepError } from '../engine/step.ts';
import { CheckpointError } from '../models/checkpoint/error.ts';
import { ConfigError } from '../models/config-json.ts';
import { AdapterError } from '../models/lora.ts';
import { MissingTensor } from '../models/tensors.ts';
import { SessionError } from '../tensor/session.ts';

/** The step's own error for one of the libraries' foreseen ones; any other error as it is. */
export const foreseen = (error: unknown): unknown => {
  if (error instanceof CheckpointError) return new StepError('E510', error.message, error.hint);
  if (
    error instanceof AdapterError ||
    error instanceof MissingTensor ||
    error instanceof ConfigError
  )
    return new StepError('E577', error.message);
  if (error instanceof SessionError && error.code === 'device-missing')
    return new StepError('E576', error.message, 'set device: cpu (or leave it out)');
  if (error instanceof SessionError && error.code === 'overflow')
    return new StepError('E579', error.message, 'set compute: float32');
  if (error instanceof SessionError && error.code !== 'bad-feed')
    return new StepError('E578', error.message);
  return error;
};
