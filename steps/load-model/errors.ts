// What is wrong with a checkpoint, as a failed step.

import { StepError } from '../../engine/step.ts';
import { CheckpointError } from '../../models/checkpoint/error.ts';

/** Runs `work`; an error of a checkpoint becomes the step's foreseen failure. */
export const asStepErrors = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CheckpointError) throw new StepError('E510', error.message, error.hint);
    throw error;
  }
};
