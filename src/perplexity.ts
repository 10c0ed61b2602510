/** Perplexity: how many equally likely characters the model hesitates between, on average. */

/**
 * Perplexity, exp of the mean cross-entropy: how many equally likely characters the model hesitates between, on average.
 * Infinity where that overflows.
 *
 * @param lossSum - summed cross-entropy in nats
 * @param tokens - number of predictions in the sum
 *
 * @example
 * ```ts
 * import { perplexity } from 'gru-native';
 *
 * const tokens = 10;
 * const lossOfGuessing = tokens * Math.log(1672); // among 1672 characters
 * console.log(perplexity(lossOfGuessing, tokens).toFixed()); // 1672
 * ```
 */
export function perplexity(lossSum: number, tokens: number): number {
  return Math.exp(lossSum / tokens);
}
