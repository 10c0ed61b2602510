/**
 * How the next character is chosen: options, defaults and ranges. On logits and in this order: repetition penalty,
 * temperature, top-k, top-p; ties go to the lowest id. The arithmetic is in crates/gru-core/src/generation/choice.rs.
 */

import { GruError } from './errors.js';

/**
 * How the next character is chosen.
 *
 * @example
 * ```ts
 * import { loadCorpus, type SamplingOptions, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const careful: SamplingOptions = { temperature: 0.5, topP: 0.9, repetitionPenalty: 1.1 };
 * console.log(await model.generate(corpus.text.slice(0, 2), { ...careful, length: 20 }));
 * model.dispose();
 * run.dispose();
 * ```
 */
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
