/** When things happen in a run: the learning rate of every update, and the epochs that report. */

import type { TrainingConfig } from './config.js';

/** Learning rate of each update of an epoch, `[updates]`: constant, as in the book chapter. */
export function learningRates(config: Pick<TrainingConfig, 'learningRate'>, updates: number): Float32Array {
  return new Float32Array(updates).fill(config.learningRate);
}

/** Whether samples are written and a checkpoint is saved after this epoch: every `reportEvery`, and the last. */
export function reportsAfter(config: Pick<TrainingConfig, 'reportEvery' | 'epochs'>, epoch: number): boolean {
  return epoch % config.reportEvery === 0 || epoch === config.epochs;
}
