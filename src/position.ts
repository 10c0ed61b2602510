/** Where a run is: all of it that is not in the network. Saved with every checkpoint. */

import type { TrainingConfig } from './config.js';
import type { BestEpoch } from './events.js';
import { checkpointsAfter } from './schedule.js';

/** Where a run is. All of it is saved, so that a resumed run goes on as if it had never stopped. */
export interface Position {
  /** Epochs completed. */
  epochs: number;
  /** Loss of each update done of the epoch that is under way, in nats. */
  lossSums: number[];
  /** Gradient norm before clipping of each of them. */
  gradientNorms: number[];
  /** Seconds spent on them. */
  epochSeconds: number;
  /** Perplexity of the last completed epoch. */
  perplexity: number | null;
  /** The best of the completed epochs. */
  best: BestEpoch | null;
  /** How many epochs in a row, the last one included, had a loss far above that of guessing. */
  highEpochs: number;
  /** How often the run has gone back after it diverged; each time halved the learning rate. */
  rollbacks: number;
  /** Seconds trained in all. */
  seconds: number;
}

/** The position before the first update. */
export const START: Readonly<Position> = {
  epochs: 0,
  lossSums: [],
  gradientNorms: [],
  epochSeconds: 0,
  perplexity: null,
  best: null,
  highEpochs: 0,
  rollbacks: 0,
  seconds: 0,
};

/** All that a run goes on from, in memory. */
export interface Snapshot {
  parameters: Float32Array;
  state: Float32Array;
  position: Position;
}

/** Whether a checkpoint is due at a position: between epochs, by the schedule, and not while the loss is far too high. */
export function isCheckpointDue(
  config: Pick<TrainingConfig, 'checkpointEvery' | 'reportEvery' | 'epochs'>,
  { epochs, lossSums, highEpochs }: Readonly<Position>,
): boolean {
  return lossSums.length === 0 && highEpochs === 0 && checkpointsAfter(config, epochs);
}
