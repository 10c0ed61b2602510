/**
 * Bytes to text: what the sources hold, decoded strictly, newlines made spaces, joined, cut to the first characters.
 * Owns what counts as a character of the corpus. Where texts come from is sources.ts's business, encodings
 * encoding.ts's, timed lyrics lrc.ts's, the work on the bytes utf8.ts's.
 *
 * All work is done on the bytes, in place where it can be, so that a text of 100 MB takes a small multiple of its
 * size; only the part that is used becomes a string.
 */

import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { DEFAULT_MAX_CHARS } from './config.js';
import { displayName } from './display.js';
import { checkEncoding, decodeToUtf8, type Encoding, type FoundEncoding } from './encoding.js';
import { GruError } from './errors.js';
import { release } from './growing-bytes.js';
import { plainLyrics } from './lrc.js';
import { toNfc } from './nfc.js';
import { MAX_BYTES, readSources, sourceHint, sourceName, stopped, tooLarge } from './sources.js';
import { decode, firstCharacters, normalise } from './utf8.js';

/**
 * How the bytes of a corpus are made text.
 *
 * @example
 * ```ts
 * import { loadCorpus, type Reading } from 'gru-native';
 *
 * const { reading }: { reading: Reading } = await loadCorpus('songs', { nfc: true });
 * console.log(reading); // { encoding: 'auto', nfc: true }
 * ```
 */
export interface Reading {
  /** The encoding of texts without a byte order mark, or `auto`. */
  encoding: Encoding;
  /** Whether characters are composed (Unicode's NFC). */
  nfc: boolean;
}

/**
 * A text ready for training, as {@link loadCorpus} and {@link corpusFromText} make it.
 *
 * @example
 * ```ts
 * import { type Corpus, loadCorpus } from 'gru-native';
 *
 * const corpus: Corpus = await loadCorpus('songs', { maxChars: 2000 });
 * console.log(`${corpus.name}: ${corpus.characters} of ${corpus.totalCharacters} characters`);
 * ```
 */
export interface Corpus {
  /** Named corpus, file or directory name (without its path), `stdin` or `text`. */
  name: string;
  /** The part used; every newline is a space already. */
  text: string;
  /** Code points in `text`. */
  characters: number;
  /** Code points before the cut, a CRLF counted as one. */
  totalCharacters: number;
  /** Hex SHA-256 of `text` as UTF-8. */
  sha256: string;
  /** What was read, as it was named; nothing for a text in memory. Resuming reads it again. */
  sources: readonly string[];
  /** How it was read. */
  reading: Reading;
  /** The encodings that its texts turned out to be in, each once; nothing for a text in memory. */
  encodings: readonly FoundEncoding[];
}

/**
 * How `loadCorpus` reads.
 *
 * @example
 * ```ts
 * import { type LoadCorpusOptions, loadCorpus } from 'gru-native';
 *
 * const options: LoadCorpusOptions = { maxChars: 2000, encoding: 'utf-8', signal: AbortSignal.timeout(10_000) };
 * console.log((await loadCorpus('songs', options)).characters); // 2000
 * ```
 */
export interface LoadCorpusOptions {
  /**
   * Code points to use, from the start of the text, or `all`; the `maxChars` of {@link DEFAULT_CONFIG} unless given.
   */
  maxChars?: number | 'all' | undefined;
  /**
   * The encoding of texts that have no byte order mark: strictly this one. `auto`, the default, is UTF-8 or else
   * GB18030.
   */
  encoding?: Encoding | undefined;
  /** Composes characters (Unicode's NFC); off unless given. */
  nfc?: boolean | undefined;
  /** Says that downloads are forbidden; loading never downloads, so it only words the hint. */
  offline?: boolean | undefined;
  /** Ends the reading with GRU_INTERRUPTED. */
  signal?: AbortSignal | undefined;
}

/** One text of a corpus as UTF-8, its newlines as they were. */
export interface CorpusText {
  /** What messages call it. */
  label: string;
  /** Its path, or its name in an archive. */
  name: string;
  /** Bytes it had before decoding. */
  size: number;
  encoding: FoundEncoding;
  /** Valid UTF-8; whoever assembles the corpus changes them. */
  bytes: Uint8Array;
}

/**
 * Loads a corpus. A source is the name of a corpus (which wins over a file of that name: `./songs` is the file), `-`
 * for stdin, a text file, a .gz, a zip archive (its .txt and .lrc entries, or one: `file.zip!entry`), a directory (its
 * .txt, .lrc and such .gz files at any depth, links and dot files passed over) or a glob. Several texts are joined by
 * one space: sources in the order given, the files of each in the order of their paths' bytes. Files named .lrc are
 * timed lyrics, of which the words are used.
 *
 * @param stdin - what `-` reads; the process's own unless given, for tests
 * @throws GruError GRU_USAGE for a bad argument, GRU_CORPUS when a text cannot be read or decoded,
 * GRU_CORPUS_DOWNLOAD when a named corpus is not on this machine, GRU_INTERRUPTED when the signal fires.
 *
 * @example
 * ```ts
 * import { writeFile } from 'node:fs/promises';
 * import { loadCorpus } from 'gru-native';
 *
 * await writeFile('verse.txt', '山上的风\n吹过来\n');
 * const corpus = await loadCorpus(['verse.txt', 'songs'], { maxChars: 'all' });
 * console.log(corpus.name, corpus.text.slice(0, 8)); // verse.txt and 1 more 山上的风 吹过来
 * ```
 */
export async function loadCorpus(
  source: string | readonly string[],
  options: LoadCorpusOptions = {},
  stdin?: Readable,
): Promise<Corpus> {
  checkMaxChars(options.maxChars);
  return assembleCorpus(await readTexts(source, options, stdin), source, options);
}

/**
 * The texts of a corpus before they are joined, for whoever wants to look at them.
 *
 * @param onDecoded - is shown each text as it was in its file, .lrc with its tags and nothing composed
 * @throws GruError as `loadCorpus`
 */
export async function readTexts(
  source: string | readonly string[],
  options: LoadCorpusOptions = {},
  stdin: Readable = process.stdin,
  onDecoded: (bytes: Uint8Array) => void = () => {},
): Promise<CorpusText[]> {
  const sources = checkSources(source);
  const { encoding: wanted, nfc } = readingOf(options);
  const { signal, offline } = options;
  const texts: CorpusText[] = [];
  let total = 0;
  try {
    for await (const { label, name, bytes: raw } of readSources(sources, { offline, signal, stdin })) {
      const bounds = {
        label,
        limit: MAX_BYTES - total,
        tooLarge: () => tooLarge(label, `more than ${MAX_BYTES} as UTF-8`),
        signal,
      };
      const decoded = await decodeToUtf8(raw, { ...bounds, encoding: wanted });
      onDecoded(decoded.bytes);
      const lines = /\.lrc$/i.test(name) ? plainLyrics(decoded.bytes, label) : decoded.bytes;
      const bytes = nfc ? await toNfc(lines, bounds) : lines;
      if (bytes.length > bounds.limit) throw bounds.tooLarge(); // a song with every repetition
      const { encoding } = decoded;
      texts.push({ label, name, size: raw.length, encoding, bytes });
      total += bytes.length;
      for (const block of new Set([raw, decoded.bytes]))
        if (block.buffer !== bytes.buffer) await release(block);
    }
  } catch (cause) {
    if (signal?.aborted && !(cause instanceof GruError)) throw stopped(sources.join(' '), cause);
    throw cause;
  }
  return texts;
}

/**
 * The corpus that some texts make: joined by one space and cut. Texts without a character, such as empty files, leave
 * no trace.
 *
 * @param texts - their bytes are changed
 * @throws GruError GRU_USAGE for a bad `maxChars`, GRU_CORPUS when there is no character in them
 */
export function assembleCorpus(
  texts: readonly CorpusText[],
  source: string | readonly string[],
  options: LoadCorpusOptions = {},
): Corpus {
  const sources = checkSources(source);
  const more = sources.length > 1 ? ` and ${sources.length - 1} more` : '';
  return {
    ...joined(`${sourceName(sources[0] as string)}${more}`, texts, checkMaxChars(options.maxChars)),
    sources,
    reading: readingOf(options),
    encodings: [...new Set(texts.map(({ encoding }) => encoding))],
  };
}

/**
 * A corpus of a text in memory, treated as a file of it would be.
 *
 * @throws GruError GRU_USAGE for a bad `maxChars`, GRU_CORPUS for an empty text or one with half a surrogate pair.
 *
 * @example
 * ```ts
 * import { corpusFromText, train } from 'gru-native';
 *
 * const corpus = corpusFromText('山上的风 吹过来 '.repeat(20), { name: 'wind', maxChars: 'all' });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8, batchSize: 2, numSteps: 4 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * run.dispose();
 * ```
 */
export function corpusFromText(
  text: string,
  options: { name?: string | undefined; maxChars?: number | 'all' | undefined } = {},
): Corpus {
  const limit = checkMaxChars(options.maxChars);
  if (typeof text !== 'string') {
    throw new GruError('GRU_USAGE', `text: expected a string, received ${typeof text}`, 'Decode it first.');
  }
  const name = options.name ?? 'text';
  const lone = text.search(/\p{Surrogate}/u);
  if (lone >= 0) {
    const unit = text.charCodeAt(lone).toString(16).toUpperCase();
    const message = `corpus ${displayName(name)}: expected whole characters, received half a pair U+${unit} at index ${lone}`;
    throw new GruError('GRU_CORPUS', message, 'Do not cut strings inside a surrogate pair.');
  }
  const bytes = Buffer.from(text.startsWith('\ufeff') ? text.slice(1) : text);
  const corpus = joined(name, [{ label: `corpus ${displayName(name)}`, bytes }], limit);
  return { ...corpus, sources: [], reading: readingOf({}), encodings: [] };
}

function checkMaxChars(maxChars: number | 'all' = DEFAULT_MAX_CHARS): number {
  if (maxChars === 'all') return Number.POSITIVE_INFINITY;
  if (Number.isSafeInteger(maxChars) && maxChars > 0) return maxChars;
  const message = `maxChars: expected a whole number above 0 or 'all', received ${String(maxChars)}`;
  throw new GruError('GRU_USAGE', message, "give how many characters to use, or 'all'");
}

function checkSources(source: string | readonly string[]): readonly string[] {
  const sources = typeof source === 'string' ? [source] : source;
  const isSource = (value: unknown) => typeof value === 'string' && value !== '';
  if (!Array.isArray(sources) || sources.length === 0 || !sources.every(isSource)) {
    throw new GruError('GRU_USAGE', 'corpus: expected a path or a name, received nothing', sourceHint());
  }
  if (sources.filter((name) => name === '-').length > 1) {
    throw new GruError(
      'GRU_USAGE',
      'corpus: expected - at most once, received it again',
      'stdin ends only once.',
    );
  }
  return sources;
}

function readingOf({ encoding = 'auto', nfc = false }: LoadCorpusOptions): Reading {
  if (typeof nfc !== 'boolean') {
    throw new GruError(
      'GRU_USAGE',
      `nfc: expected true or false, received ${String(nfc)}`,
      'Leave it out for false.',
    );
  }
  return { encoding: checkEncoding(encoding, 'encoding'), nfc };
}

function joined(name: string, texts: readonly Pick<CorpusText, 'label' | 'bytes'>[], limit: number) {
  const used: Uint8Array[] = [];
  let characters = 0;
  let totalCharacters = 0;
  for (const { bytes } of texts) {
    const normalised = normalise(bytes);
    if (normalised.bytes.length === 0) continue;
    const separate = totalCharacters > 0;
    totalCharacters += normalised.characters + (separate ? 1 : 0);
    if (separate && characters < limit) {
      used.push(Buffer.from(' '));
      characters++;
    }
    const taken = Math.min(normalised.characters, limit - characters);
    if (taken > 0) used.push(firstCharacters(normalised.bytes, taken, normalised.characters));
    characters += taken;
  }
  if (totalCharacters === 0) {
    const received = texts.length === 1 ? 'an empty one' : `${texts.length} empty ones`;
    const message = `${texts[0]?.label ?? name}: expected a text, received ${received}`;
    throw new GruError('GRU_CORPUS', message, 'Give a text with at least one character.');
  }
  const kept = used.length === 1 ? (used[0] as Uint8Array) : Buffer.concat(used);
  const text = decode(kept, characters);
  const sha256 = createHash('sha256').update(kept).digest('hex');
  return { name, text, characters, totalCharacters, sha256 };
}
