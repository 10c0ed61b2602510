/**
 * From logits to the next character's id: repetition penalty, temperature, top-k, top-p, in this order.
 * Everything works on logits, so that no temperature can overflow or divide by zero.
 */

import { GruError } from './errors.js';
import type { Random } from './random.js';

/** How the next character is chosen. */
export interface SamplingOptions {
  /** 0 takes the likeliest character (greedy, the default, as in the book chapter); 1 samples as learnt. */
  temperature?: number;
  /** Choose among this many likeliest characters only; 0, the default, means all. */
  topK?: number;
  /** Choose among the likeliest characters that together reach this probability; 1, the default, means all. */
  topP?: number;
  /**
   * Characters among the last 64 get their logit divided by this if positive, else multiplied (Keskar et al.
   * 2019); 1, the default, means no penalty.
   */
  repetitionPenalty?: number;
}

/** How far back the repetition penalty looks, in characters. */
export const REPETITION_WINDOW = 64;

/** The options in full. */
export const DEFAULT_SAMPLING: Readonly<Required<SamplingOptions>> = {
  temperature: 0,
  topK: 0,
  topP: 1,
  repetitionPenalty: 1,
};

/**
 * Fills in the defaults and checks the ranges.
 *
 * @throws GruError GRU_USAGE
 */
export function resolveSampling(given: SamplingOptions): Required<SamplingOptions> {
  const options = { ...DEFAULT_SAMPLING };
  for (const key of Object.keys(DEFAULT_SAMPLING) as (keyof SamplingOptions)[]) {
    if (given[key] !== undefined) options[key] = given[key];
  }
  const { temperature, topK, topP, repetitionPenalty } = options;
  require('temperature', temperature, 'a finite number of at least 0', temperature >= 0 &&
    temperature < Infinity);
  require('topK', topK, 'a whole number of at least 0', Number.isSafeInteger(topK) && topK >= 0);
  require('topP', topP, 'a number above 0 and at most 1', topP > 0 && topP <= 1);
  const penaltyFits = repetitionPenalty > 0 && repetitionPenalty < Infinity;
  require('repetitionPenalty', repetitionPenalty, 'a finite number above 0', penaltyFits);
  return options;
}

function require(name: string, received: number, expected: string, holds: boolean): void {
  if (!holds) throw new GruError('GRU_USAGE', `expected ${expected} for ${name}, received ${received}`);
}

/**
 * Chooses an id. Ties go to the lowest id.
 *
 * @param logits - `[vocabSize]`
 * @param recent - ids so far, for the repetition penalty; the last {@link REPETITION_WINDOW} count
 * @param random - not drawn from when greedy
 */
export function chooseId(
  logits: Float32Array,
  options: Required<SamplingOptions>,
  recent: readonly number[],
  random: Random,
): number {
  const { temperature, topK, topP, repetitionPenalty } = options;
  const scores = Float64Array.from(logits);
  if (repetitionPenalty !== 1) {
    for (const id of new Set(recent.slice(-REPETITION_WINDOW))) {
      const score = scores[id] as number;
      scores[id] = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
    }
  }
  if (temperature === 0) return argMax(scores);
  const max = scores[argMax(scores)] as number;
  // Likeliest first; the sort is stable, so ties keep the order of ids.
  let candidates = Array.from(scores, (_, id) => id);
  const narrowed = topK > 0 || topP < 1;
  if (narrowed) candidates.sort((a, b) => (scores[b] as number) - (scores[a] as number));
  if (topK > 0) candidates = candidates.slice(0, topK);
  let weights = candidates.map((id) => Math.exp(((scores[id] as number) - max) / temperature));
  if (topP < 1) {
    const kept = countReaching(weights, topP * sum(weights));
    candidates = candidates.slice(0, kept);
    weights = weights.slice(0, kept);
  }
  const chosen = countReaching(weights, random.nextFloat() * sum(weights), true);
  return candidates[chosen - 1] as number;
}

function argMax(scores: Float64Array): number {
  let best = 0;
  for (let id = 1; id < scores.length; id += 1) {
    if ((scores[id] as number) > (scores[best] as number)) best = id;
  }
  return best;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** How many leading weights it takes to reach (or, if `beyond`, to pass) a total; all if rounding forbids. */
function countReaching(weights: readonly number[], total: number, beyond = false): number {
  let reached = 0;
  for (const [index, weight] of weights.entries()) {
    reached += weight;
    if (beyond ? reached > total : reached >= total) return index + 1;
  }
  return weights.length;
}
