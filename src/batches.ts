/**
 * The order in which a corpus is read: an epoch's start offsets, nothing copied. Both samplings are the book
 * chapter's; `test/batches.test.ts` shows them on its example, the sequence 0..29.
 */

import type { TrainingConfig } from './config.js';
import { GruError } from './errors.js';
import { Random } from './random.js';

type Batching = Pick<TrainingConfig, 'sampling' | 'batchSize' | 'numSteps' | 'seed'>;

/**
 * Updates in an epoch over `length` characters.
 *
 * @throws GruError GRU_CORPUS_TOO_SHORT when there is not even one
 */
export function updatesPerEpoch(length: number, config: Batching): number {
  const { batchSize, numSteps, sampling } = config;
  const updates =
    sampling === 'adjacent'
      ? Math.floor((Math.floor(length / batchSize) - 1) / numSteps)
      : Math.floor(Math.floor((length - 1) / numSteps) / batchSize);
  if (updates < 1) throw tooShort(length, config);
  return updates;
}

/**
 * Start offsets of an epoch, `[updates, batchSize]`: update i of lane b reads the `numSteps` characters from
 * `starts[i * batchSize + b]` and predicts each one's successor.
 *
 * - adjacent: lane b walks through its own stretch of the text; update i goes on where i - 1 ended.
 * - random: all stretches of `numSteps` characters in an order shuffled anew for every (seed, epoch).
 *
 * @param epoch - counted from 1; decides the order of random sampling
 * @throws GruError GRU_CORPUS_TOO_SHORT
 */
export function planEpoch(length: number, config: Batching, epoch: number): Int32Array {
  const { batchSize, numSteps } = config;
  const updates = updatesPerEpoch(length, config);
  if (config.sampling === 'adjacent') {
    const laneLength = Math.floor(length / batchSize);
    return Int32Array.from({ length: updates * batchSize }, (_, index) => {
      const lane = index % batchSize;
      return lane * laneLength + ((index - lane) / batchSize) * numSteps;
    });
  }
  const examples = Int32Array.from(
    { length: Math.floor((length - 1) / numSteps) },
    (_, index) => index * numSteps,
  );
  new Random(config.seed, `batches/${epoch}`).shuffle(examples);
  return examples.slice(0, updates * batchSize);
}

function tooShort(length: number, { sampling, batchSize, numSteps }: Batching): GruError {
  const needed = sampling === 'adjacent' ? batchSize * (numSteps + 1) : batchSize * numSteps + 1;
  const lanes = Math.floor(sampling === 'adjacent' ? length / (numSteps + 1) : (length - 1) / numSteps);
  const steps = Math.floor(sampling === 'adjacent' ? length / batchSize - 1 : (length - 1) / batchSize);
  const working = [
    ...(lanes >= 1 ? [`--batch-size ${lanes}`] : []),
    ...(steps >= 1 ? [`--num-steps ${steps}`] : []),
    ...(lanes < 1 && steps < 1 && length >= 2 ? ['--batch-size 1 --num-steps 1'] : []),
  ];
  return new GruError(
    'GRU_CORPUS_TOO_SHORT',
    `expected at least ${needed} characters for batch size ${batchSize} and ${numSteps} steps (${sampling} sampling), received ${length}`,
    working.length > 0 ? `Use a longer text, or ${working.join(', or ')}.` : 'Use a longer text.',
  );
}
