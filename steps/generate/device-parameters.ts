// Where generate computes, and in what precision: the parameters, and what doesn't go together with a GPU. Loaded to
// check an experiment, so it loads no runtime.

import type { Complaint } from '../../engine/step.ts';
import type { JsonObject } from '../../schemas/json.ts';
import type { Device } from '../../tensor/session.ts';

export const deviceParameters = {
  device: {
    type: 'string',
    enum: ['auto', 'cpu', 'webgpu', 'cuda', 'coreml'],
    default: 'auto',
    description:
      "Where to compute; auto: on the CPU. webgpu: any vendor's GPU. A device that is missing is an error. On a GPU a row's last digits depend on its batch.",
  },
  // Without a default, so that it enters the keys of those who set it only.
  compute: {
    type: 'string',
    enum: ['float32', 'float16'],
    description:
      'Precision of products on a GPU. Default: float16 on webgpu and cuda where the GPU has it and the model was not loaded with dtype: float32, else float32. predictions.json says which it was.',
  },
} as const;

/** `auto` is the CPU: it is everywhere, and gives a row the same bits in every batch. */
export const resolveDevice = ({ device = 'auto' }: JsonObject): Device =>
  device === 'auto' ? 'cpu' : (device as Device);

export const deviceProblems = (params: JsonObject): readonly Complaint[] => {
  if (params['backend'] === 'openai') return [];
  const device = resolveDevice(params);
  const problems: Complaint[] = [];
  const { compute, activations, batch_tokens: batchTokens } = params;
  if (compute === 'float16' && device !== 'webgpu' && device !== 'cuda') {
    problems.push({
      pointer: '/compute',
      message: `compute: float16 needs device: webgpu or cuda; ${device} computes in float32`,
      hint: 'leave compute out',
    });
  }
  if (device === 'cpu') return problems;
  if (activations === 'int8' || activations === 'int16') {
    problems.push({
      pointer: '/activations',
      message: `activations: ${activations} is for the CPU; products on ${device} are exact`,
      hint: 'leave activations out',
    });
  }
  if (batchTokens !== undefined) {
    problems.push({
      pointer: '/batch_tokens',
      message: `batch_tokens can't be set with device: ${device}, where a row's last digits depend on its batch`,
      hint: 'leave it out: batches are then a function of the model and the rows',
    });
  }
  return problems;
};
