/** When things happen in a run: the learning rate of every update, and the epochs that report. */

import type { TrainingConfig } from './config.js';

/** The learning rate of a run that has gone back so often: constant as in the book chapter, halved each time. */
export function learningRateAfter(config: Pick<TrainingConfig, 'learningRate'>, rollbacks: number): number {
  return config.learningRate / 2 ** rollbacks;
}

/** Learning rate of each update of an epoch, `[updates]`. */
export function learningRates(learningRate: number, updates: number): Float32Array {
  return new Float32Array(updates).fill(learningRate);
}

/** Whether samples are written after this epoch: every `reportEvery`, and the last. */
export function reportsAfter(config: Pick<TrainingConfig, 'reportEvery' | 'epochs'>, epoch: number): boolean {
  return epoch % config.reportEvery === 0 || epoch === config.epochs;
}

/** Whether a checkpoint is due after this epoch: every `checkpointEvery`, or with every report; and the last. */
export function checkpointsAfter(
  config: Pick<TrainingConfig, 'checkpointEvery' | 'reportEvery' | 'epochs'>,
  epoch: number,
): boolean {
  const { checkpointEvery } = config;
  if (checkpointEvery === 'auto') return reportsAfter(config, epoch);
  return epoch % checkpointEvery === 0 || epoch === config.epochs;
}
