// A training run's state on disk: everything the next micro-batch depends on. Randomness is keyed by position, so
// there is no generator state. Written whole; whoever calls makes the folder appear atomically.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedTensor } from '../peft-files.ts';
import { readFloatTensors, writeFloatTensors } from '../peft-files.ts';
import type { AdamWState } from './optimizer.ts';

export interface LogEntry {
  /** Optimiser steps done, from 1. */
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  /** Before clipping. */
  readonly grad_norm: number;
  readonly learning_rate: number;
  /** Tokens of all rows of the step. */
  readonly tokens: number;
  /** Supervised tokens: what the loss is the mean over. */
  readonly label_tokens: number;
}

export interface ValidationEntry {
  readonly step: number;
  readonly eval_loss: number;
  readonly label_tokens: number;
}

/** Position and history; numbers survive JSON exactly. */
export interface Progress {
  /** Optimiser steps done. */
  step: number;
  /** Micro-batches done of the step in progress, and the sum of their losses. */
  micro: number;
  lossSum: number;
  log: LogEntry[];
  validation: ValidationEntry[];
  /** The best validation so far, and how many were worse since. */
  best: { readonly step: number; readonly eval_loss: number } | null;
  worseSince: number;
  stopped: boolean;
}

export interface TrainingState {
  readonly progress: Progress;
  readonly optimizer: AdamWState;
  /** Gradients accumulated in the step in progress. */
  readonly gradients: Float32Array;
  /** Parameters at the best validation, where the run will go back to them. */
  readonly bestParameters: Float32Array | null;
}

export const initialProgress = (): Progress => ({
  step: 0,
  micro: 0,
  lossSum: 0,
  log: [],
  validation: [],
  best: null,
  worseSince: 0,
  stopped: false,
});

const files = { progress: 'progress.json', tensors: 'state.safetensors' };

export const saveState = (folder: string, state: TrainingState): void => {
  const { optimizer, gradients, bestParameters, progress } = state;
  const flat = (name: string, data: Float32Array): NamedTensor => ({
    name,
    shape: [data.length],
    data,
  });
  const tensors = [
    flat('parameters', optimizer.parameters),
    flat('exp_avg', optimizer.exp_avg),
    flat('exp_avg_sq', optimizer.exp_avg_sq),
    // Between steps they are all zero.
    ...(progress.micro > 0 ? [flat('gradients', gradients)] : []),
    ...(bestParameters === null ? [] : [flat('best_parameters', bestParameters)]),
  ];
  writeFloatTensors(join(folder, files.tensors), tensors);
  writeFileSync(join(folder, files.progress), `${JSON.stringify(progress)}\n`);
};

/** Restores a state of `length` trained elements into new arrays. */
export const loadState = (folder: string, length: number): TrainingState => {
  const progress = JSON.parse(readFileSync(join(folder, files.progress), 'utf8')) as Progress;
  const tensors = readFloatTensors(join(folder, files.tensors));
  const flat = (name: string): Float32Array => {
    const data = tensors.get(name)?.data;
    if (data?.length !== length)
      throw new Error(`the checkpoint has ${data?.length ?? 0} elements of ${name}, not ${length}`);
    return data;
  };
  return {
    progress,
    optimizer: {
      parameters: flat('parameters'),
      exp_avg: flat('exp_avg'),
      exp_avg_sq: flat('exp_avg_sq'),
    },
    gradients: progress.micro > 0 ? flat('gradients') : new Float32Array(length),
    bestParameters: tensors.has('best_parameters') ? flat('best_parameters') : null,
  };
};
