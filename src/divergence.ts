/** When a run counts as diverged, and what to advise then: from the losses and gradient norms that were seen. */

import type { EpochEvent } from './events.js';
import type { Position } from './position.js';

/** Nats above ln(vocab_size), the loss of guessing, that an epoch's mean loss may not exceed for long. */
const MARGIN = 1;
/** Epochs in a row above it that end a run. */
export const HIGH_EPOCHS = 3;

/** The mean loss, in nats, above which an epoch is worse than guessing by far. */
export function highLoss(vocabSize: number): number {
  return Math.log(vocabSize) + MARGIN;
}

/** What is said of an update that is not finite. */
export function notFinite({ epochs, lossSums }: Pick<Position, 'epochs' | 'lossSums'>): string {
  const update = `update ${lossSums.length + 1} of epoch ${epochs + 1}`;
  return `expected a finite loss and gradient, received one that is not at ${update}, which was not applied`;
}

/** What is said after {@link HIGH_EPOCHS} epochs whose loss was too high. */
export function highLosses({ epoch, lossSum, tokens }: EpochEvent, vocabSize: number): string {
  const most = `${highLoss(vocabSize).toFixed(2)} nats (ln ${vocabSize} + ${MARGIN})`;
  const mean = (lossSum / tokens).toPrecision(4);
  return `expected a mean loss of at most ${most}, received more in the last ${HIGH_EPOCHS} epochs, ${mean} in epoch ${epoch}`;
}

/** What was seen of the gradients, and the options that bear on them. */
export interface GradientFacts {
  /** The rate in use. */
  learningRate: number;
  maxGradNorm: number;
  /** Median of the gradient norms before clipping; undefined when no update was done. */
  gradNormMedian?: number | undefined;
  /** Share of the updates that were clipped, 0 to 1. */
  clippedShare?: number | undefined;
}

/** What to try, in one or two sentences that begin with what was seen. */
export function divergenceAdvice(facts: GradientFacts): string {
  const { learningRate, maxGradNorm, gradNormMedian, clippedShare = 0 } = facts;
  const rate = `--learning-rate ${rounded(learningRate / 2)}`;
  if (gradNormMedian === undefined) {
    return `The first update was too much already: try --learning-rate ${rounded(learningRate / 10)} (now ${learningRate}), or a smaller --init-scale.`;
  }
  const clipped = `${Math.round(100 * clippedShare)} % of the updates were clipped`;
  const norm = `the gradient norm's median was ${rounded(gradNormMedian)} with --max-grad-norm ${maxGradNorm}`;
  // A clipped update is a step of learningRate * maxGradNorm, whatever the gradient.
  if (clippedShare >= 0.5) {
    return `${clipped} (${norm}), so that each moved the parameters by ${rounded(learningRate * maxGradNorm)}: try ${rate} (now ${learningRate}).`;
  }
  return `${clipped} (${norm}): try --max-grad-norm ${rounded(Math.min(gradNormMedian, maxGradNorm / 2))}, or ${rate} (now ${learningRate}).`;
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(3)));
}
