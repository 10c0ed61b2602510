/** Writes text: a prefix warms the state up, then each chosen character is fed back. */

import { DEFAULT_CONFIG } from './config.js';
import { GruError } from './errors.js';
import type { Network } from './native.js';
import { Random } from './random.js';
import { chooseId, REPETITION_WINDOW, resolveSampling, type SamplingOptions } from './sampling.js';
import type { Vocabulary } from './vocabulary.js';

/** How a text is written. */
export interface GenerateOptions extends SamplingOptions {
  /** Characters written after the prefix; a training sample's length if not given. */
  length?: number;
  /** Seed of the random numbers (a temperature of 0 uses none); 0 if not given. */
  seed?: number;
  /** Stops the writing: the iteration throws the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What a generator needs of a network. */
export type Forward = Pick<Network, 'forward'>;

/**
 * Writes `length` characters after `prefix`, one at a time; the prefix itself is not yielded.
 *
 * @throws GruError GRU_VOCABULARY for a prefix with unknown characters, GRU_USAGE for an empty one or options
 * out of range
 */
export async function* generate(
  network: Forward,
  vocabulary: Vocabulary,
  prefix: string,
  options: GenerateOptions = {},
): AsyncGenerator<string, void, void> {
  const { length = DEFAULT_CONFIG.sampleLength, seed = DEFAULT_CONFIG.seed, signal } = options;
  const sampling = resolveSampling(options);
  if (!Number.isSafeInteger(length) || length < 0) {
    throw new GruError('GRU_USAGE', `expected a whole number of at least 0 for length, received ${length}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new GruError('GRU_USAGE', `expected a whole number from 0 to 2^53 - 1 for seed, received ${seed}`);
  }
  if (prefix === '') {
    throw new GruError('GRU_USAGE', 'expected a prefix of at least one character, received an empty one');
  }
  const prefixIds = vocabulary.encode(prefix, 'the prefix');
  const random = new Random(seed, 'sampling');
  const recent = Array.from(prefixIds.slice(-REPETITION_WINDOW));
  let fed = prefixIds;
  let state: Float32Array | undefined;
  for (let written = 0; written < length; written += 1) {
    signal?.throwIfAborted();
    const step = await network.forward(fed, state);
    const id = chooseId(step.logits.subarray(-vocabulary.size), sampling, recent, random);
    recent.push(id);
    if (recent.length > REPETITION_WINDOW) recent.shift();
    fed = Uint32Array.of(id);
    state = step.state;
    yield vocabulary.decode([id]);
  }
}

/** The whole text, prefix included. */
export async function generateText(
  network: Forward,
  vocabulary: Vocabulary,
  prefix: string,
  options: GenerateOptions = {},
): Promise<string> {
  let text = prefix;
  for await (const character of generate(network, vocabulary, prefix, options)) text += character;
  return text;
}
