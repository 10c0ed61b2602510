/** Perplexity: how many equally likely characters the model hesitates between, on average. */

/**
 * exp of the mean cross-entropy; Infinity where that overflows.
 *
 * @param lossSum - summed cross-entropy in nats
 * @param tokens - number of predictions in the sum
 */
export function perplexity(lossSum: number, tokens: number): number {
  return Math.exp(lossSum / tokens);
}
