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
 * console.log(perplexity(10 * Math.log(1672), 10).toFixed()); // 1672: guessing among so many characters
 * ```
 */
export function perplexity(lossSum: number, tokens: number): number {
  return Math.exp(lossSum / tokens);
}
