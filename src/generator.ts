/**
 * Writes text. The characters are chosen on the native side, where the next one is fed back at once; they cross in
 * pieces, since a crossing costs as much as a character.
 */

import { DEFAULT_CONFIG } from './config.js';
import { displayName } from './display.js';
import { GruError, throwGruError } from './errors.js';
import { CancelFlag, Generation, type Network } from './native.js';
import { readText } from './reading.js';
import { resolveSampling, type SamplingOptions } from './sampling.js';
import type { UnknownPolicy, UnknownReport } from './unknown.js';
import type { Vocabulary } from './vocabulary.js';

/**
 * What was done about the unknown characters of a prefix.
 *
 * @example
 * ```ts
 * import { loadCorpus, type PrefixReport, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const onUnknown = ({ prefix, read }: PrefixReport) => console.log(`${prefix} was read as ${read}`);
 * await model.generate(`${corpus.text.slice(0, 2)}😀`, { length: 10, unknown: 'skip', onUnknown });
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface PrefixReport extends UnknownReport {
  /** The prefix as it was given. */
  prefix: string;
  /** The prefix as it was read; the text begins with it. */
  read: string;
}

/**
 * How a text is written.
 *
 * @example
 * ```ts
 * import { type GenerateOptions, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const options: GenerateOptions = { length: 20, temperature: 0.8, topK: 40, seed: 1 };
 * console.log(await model.generate(corpus.text.slice(0, 2), options));
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface GenerateOptions extends SamplingOptions {
  /** Characters written after the prefix; the `sampleLength` of {@link DEFAULT_CONFIG} if not given. */
  length?: number;
  /** Seed of the random numbers (a temperature of 0 uses none); the `seed` of {@link DEFAULT_CONFIG} if not given. */
  seed?: number;
  /** Stops the writing: the iteration throws the signal's reason. */
  signal?: AbortSignal | undefined;
  /** What is done about characters of a prefix that the model does not know; an error if not given. */
  unknown?: UnknownPolicy | undefined;
  /** Told of each prefix with unknown characters what was done, before the first character is written. */
  onUnknown?: ((report: PrefixReport) => void) | undefined;
}

/**
 * How several texts are written.
 *
 * @example
 * ```ts
 * import { type GenerateAllOptions, loadCorpus, train } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const options: GenerateAllOptions = { length: 20, temperature: 0.8, count: 3 };
 * const texts = await model.generateAll([corpus.text.slice(0, 2)], options);
 * console.log(texts.length); // 3
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface GenerateAllOptions extends GenerateOptions {
  /** Texts for each prefix, the i-th with the seed `seed + i`; 1 if not given. */
  count?: number;
}

/** What a generator needs of a network. */
export type Writer = Pick<Network, 'generate'>;

/** Most texts side by side, as on the native side. */
const MAX_TEXTS = 1024;
/** Most characters of a piece: enough that the crossing hardly counts. */
const LONGEST_PIECE = 256;
/** A piece grows while it takes less than this, in milliseconds, so that a slow network's text comes smoothly too. */
const QUICK = 10;

/**
 * Writes `length` characters after each prefix, side by side. Yields what came to each text, one string a text; the
 * first character of all comes alone, what follows in growing pieces. The prefixes are not yielded.
 *
 * A text does not depend on the texts beside it.
 *
 * @throws GruError GRU_VOCABULARY for a prefix with unknown characters about which `unknown` does nothing, or without
 * known ones; GRU_USAGE for an empty one, options out of range or too many texts
 */
export async function* writePieces(
  network: Writer,
  vocabulary: Vocabulary,
  prefixes: readonly string[],
  options: GenerateAllOptions = {},
): AsyncGenerator<string[], void, void> {
  yield* write(network, vocabulary, await begin(vocabulary, prefixes, options));
}

/** Texts that are checked and about to be written. */
interface Beginning {
  /** What each begins with, as it was read. */
  prefixes: readonly ReadPrefix[];
  seeds: number[];
  sampling: Required<SamplingOptions>;
  length: number;
  signal: AbortSignal | undefined;
}

interface ReadPrefix {
  read: string;
  ids: Uint32Array;
}

async function begin(
  vocabulary: Vocabulary,
  prefixes: readonly string[],
  options: GenerateAllOptions,
): Promise<Beginning> {
  const { length = DEFAULT_CONFIG.sampleLength, seed = DEFAULT_CONFIG.seed, count = 1, signal } = options;
  const sampling = resolveSampling(options);
  const texts = prefixesOfTexts([...prefixes.keys()], count);
  require('length', length, 'a whole number of at least 0', Number.isSafeInteger(length) && length >= 0);
  require('seed', seed, 'a whole number from 0 to 2^53 - 1', Number.isSafeInteger(seed) && seed >= 0);
  require('the last seed', seed + (count - 1), 'at most 2^53 - 1', Number.isSafeInteger(seed + (count - 1)));
  const read: ReadPrefix[] = [];
  for (const prefix of prefixes) read.push(await readPrefix(vocabulary, prefix, options));
  return {
    prefixes: texts.map((prefix) => read[prefix] as ReadPrefix),
    seeds: texts.map((_, text) => seed + (text % count)),
    sampling,
    length,
    signal,
  };
}

async function readPrefix(
  vocabulary: Vocabulary,
  prefix: string,
  { unknown, onUnknown }: GenerateOptions,
): Promise<ReadPrefix> {
  if (prefix === '') {
    throw new GruError('GRU_USAGE', 'expected a prefix of at least one character, received an empty one');
  }
  const label = `the prefix ${displayName(prefix)}`;
  const { ids, report } = await readText(vocabulary, prefix, label, unknown);
  if (ids.length === 0) {
    throw new GruError(
      'GRU_VOCABULARY',
      `expected ${label} to have at least one of the model's ${vocabulary.size} characters, received only unknown ones`,
      'Begin with characters of the text that the model was trained on.',
    );
  }
  const read = vocabulary.decode(ids);
  if (report.unknown.length > 0) onUnknown?.({ prefix, read, ...report });
  return { read, ids };
}

async function* write(
  network: Writer,
  vocabulary: Vocabulary,
  { prefixes, seeds, sampling, length, signal }: Beginning,
): AsyncGenerator<string[], void, void> {
  if (length === 0 || prefixes.length === 0) return;
  const generation = new Generation({ prefixes: prefixes.map(({ ids }) => ids), seeds, ...sampling });
  const cancel = new CancelFlag();
  const onAbort = () => cancel.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    let size = 1;
    for (let written = 0; written < length; ) {
      signal?.throwIfAborted();
      const began = performance.now();
      const { ids, characters } = await network
        .generate(generation, Math.min(size, length - written), cancel)
        .catch(throwGruError);
      signal?.throwIfAborted();
      written += characters;
      if (performance.now() - began < QUICK) size = Math.min(2 * size, LONGEST_PIECE);
      else if (performance.now() - began > 2 * QUICK) size = Math.max(1, size >> 1);
      yield columnsOf(ids, prefixes.length).map((column) => vocabulary.decode(column));
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Writes `length` characters after `prefix`, one at a time; the prefix itself is not yielded.
 *
 * @throws GruError as {@link writePieces}
 */
export async function* generate(
  network: Writer,
  vocabulary: Vocabulary,
  prefix: string,
  options: GenerateOptions = {},
): AsyncGenerator<string, void, void> {
  for await (const [piece] of writePieces(network, vocabulary, [prefix], { ...options, count: 1 })) {
    for (const character of piece as string) {
      options.signal?.throwIfAborted();
      yield character;
    }
  }
}

/** The whole texts, prefixes as they were read included: for each prefix `count` of them. */
export async function generateTexts(
  network: Writer,
  vocabulary: Vocabulary,
  prefixes: readonly string[],
  options: GenerateAllOptions = {},
): Promise<string[]> {
  const beginning = await begin(vocabulary, prefixes, options);
  const pieces = beginning.prefixes.map(({ read }) => [read]);
  for await (const piece of write(network, vocabulary, beginning)) {
    for (const [text, characters] of piece.entries()) pieces[text]?.push(characters);
  }
  return pieces.map((text) => text.join(''));
}

/**
 * What each of the texts begins with: every prefix so many times.
 *
 * @throws GruError GRU_USAGE
 */
export function prefixesOfTexts<Prefix>(prefixes: readonly Prefix[], count = 1): Prefix[] {
  const whole = Number.isSafeInteger(count);
  require('count', count, `a whole number from 1 to ${MAX_TEXTS}`, whole && count >= 1 && count <= MAX_TEXTS);
  const texts = prefixes.length * count;
  require('the number of texts', texts, `at most ${MAX_TEXTS}`, texts <= MAX_TEXTS);
  return prefixes.flatMap((prefix) => new Array<Prefix>(count).fill(prefix));
}

/** The columns of a row-major array. */
function columnsOf(elements: Uint32Array, columns: number): Uint32Array[] {
  if (columns === 1) return [elements];
  const rows = elements.length / columns;
  return Array.from({ length: columns }, (_, column) =>
    Uint32Array.from({ length: rows }, (_, row) => elements[row * columns + column] as number),
  );
}

function require(name: string, received: number, expected: string, holds: boolean): void {
  if (!holds) throw new GruError('GRU_USAGE', `expected ${expected} for ${name}, received ${received}`);
}
