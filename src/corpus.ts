/**
 * Bytes to text: files, directories, zip archives, stdin and named corpora, decoded as strict UTF-8, newlines made
 * spaces, cut to the first characters. Owns what counts as a character of the corpus; containers are zip.ts's, named
 * files named-corpora.ts's, the work on the bytes utf8.ts's.
 *
 * All work is done on the bytes, in place, so that a text of 100 MB takes little more than its own size; only the
 * part that is used becomes a string.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { DEFAULT_MAX_CHARS } from './config.js';
import { displayName } from './display.js';
import { GruError } from './errors.js';
import { isNamedCorpus, listCorpora, readNamedCorpus } from './named-corpora.js';
import { checkedUtf8, decode, firstCharacters, normalise } from './utf8.js';
import { isZip, readZipTexts } from './zip.js';

/** A text ready for training. */
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
}

/** How `loadCorpus` reads. */
export interface LoadCorpusOptions {
  /** Code points to use, from the start of the text, or `all`; DEFAULT_MAX_CHARS unless given. */
  maxChars?: number | 'all' | undefined;
  /** Says that downloads are forbidden; loading never downloads, so it only words the hint. */
  offline?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** Bytes read from any one source; a string in V8 holds 536,870,888 characters. */
const MAX_BYTES = 512_000_000;
const MAX_FILES = 10_000;
/** Directory entries looked at, so that a wrong path does not walk a whole disk. */
const MAX_ENTRIES = 200_000;

interface Piece {
  /** What messages call it. */
  label: string;
  /** Owned by the piece: normalised in place. */
  bytes: Uint8Array;
}

/**
 * Loads a corpus. `source` is the name of a corpus (which wins over a file of that name: `./songs` is the file), `-`
 * for stdin, a directory (its .txt files at any depth, links and dot files passed over), a zip archive (its .txt
 * entries) or a text file. Several texts are joined by one space in the order of their paths' bytes.
 *
 * @param stdin - what `-` reads; the process's own unless given, for tests
 * @throws GruError GRU_USAGE for a bad argument, GRU_CORPUS when the text cannot be read or is not UTF-8,
 * GRU_CORPUS_DOWNLOAD when a named corpus is not on this machine, GRU_INTERRUPTED when the signal fires.
 */
export async function loadCorpus(
  source: string,
  options: LoadCorpusOptions = {},
  stdin?: Readable,
): Promise<Corpus> {
  const limit = checkMaxChars(options.maxChars);
  if (typeof source !== 'string' || source === '') {
    throw new GruError('GRU_USAGE', 'corpus: expected a path or a name, received nothing', sourceHint());
  }
  const { signal } = options;
  try {
    signal?.throwIfAborted();
    if (isNamedCorpus(source)) {
      const { bytes } = await readNamedCorpus(source, options);
      return assemble(source, await pieces(bytes, `corpus ${source}`, false), limit);
    }
    if (source === '-') {
      const bytes = await readStream(stdin ?? process.stdin, 'stdin', signal);
      return assemble('stdin', await pieces(bytes, 'stdin', false), limit);
    }
    return assemble(basename(resolve(source)) || source, await readPath(source, signal), limit);
  } catch (cause) {
    if (cause instanceof GruError) throw cause;
    if (signal?.aborted) {
      throw new GruError('GRU_INTERRUPTED', `corpus ${displayName(source)}: stopped on request`, '', {
        cause,
      });
    }
    throw unreadable(source, cause);
  }
}

/**
 * A corpus of a text in memory, treated as a file of it would be.
 *
 * @throws GruError GRU_USAGE for a bad `maxChars`, GRU_CORPUS for an empty text or one with half a surrogate pair.
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
  return assemble(name, [{ label: `corpus ${displayName(name)}`, bytes: Buffer.from(text) }], limit);
}

function checkMaxChars(maxChars: number | 'all' = DEFAULT_MAX_CHARS): number {
  if (maxChars === 'all') return Number.POSITIVE_INFINITY;
  if (Number.isSafeInteger(maxChars) && maxChars > 0) return maxChars;
  const message = `maxChars: expected a whole number above 0 or 'all', received ${String(maxChars)}`;
  throw new GruError('GRU_USAGE', message, "give how many characters to use, or 'all'");
}

async function readPath(source: string, signal: AbortSignal | undefined): Promise<Piece[]> {
  const stats = await stat(source);
  if (stats.isDirectory()) return readDirectory(source, signal);
  const label = `corpus ${displayName(source)}`;
  if (stats.size > MAX_BYTES) throw tooLarge(label, stats.size);
  // A pipe or device has no size to go by.
  const bytes = stats.isFile()
    ? await readFile(source, { signal })
    : await readStream(createReadStream(source), label, signal);
  return pieces(bytes, label, /\.zip$/i.test(source));
}

/** The texts in the bytes of one file: of an archive each of its texts, else the file itself. */
async function pieces(bytes: Uint8Array, label: string, namedZip: boolean): Promise<Piece[]> {
  if (!namedZip && !isZip(bytes)) return [{ label, bytes }];
  return (await readZipTexts(bytes, label)).map((text) => ({
    label: `${label}, entry ${displayName(text.name)}`,
    bytes: text.bytes,
  }));
}

async function readDirectory(root: string, signal: AbortSignal | undefined): Promise<Piece[]> {
  const paths: { path: string; key: Buffer }[] = [];
  const folders = [''];
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal?.throwIfAborted();
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      if (++seen > MAX_ENTRIES) throw crowded(root, `${MAX_ENTRIES} files and folders`);
      if (entry.name.startsWith('.')) continue;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() && /\.txt$/i.test(entry.name)) paths.push({ path, key: Buffer.from(path) });
    }
  }
  if (paths.length === 0) {
    const message = `corpus ${displayName(root)}: expected .txt files in the directory, received none`;
    throw new GruError('GRU_CORPUS', message, 'Links and dot files are passed over; name another directory.');
  }
  if (paths.length > MAX_FILES) throw crowded(root, `${MAX_FILES} .txt files`);
  paths.sort((a, b) => Buffer.compare(a.key, b.key));
  const found: Piece[] = [];
  let total = 0;
  for (const { path } of paths) {
    const file = join(root, path);
    total += (await stat(file)).size;
    if (total > MAX_BYTES) throw tooLarge(`corpus ${displayName(root)}`, total);
    found.push({ label: `corpus ${displayName(file)}`, bytes: await readFile(file, { signal }) });
  }
  return found;
}

async function readStream(stream: Readable, label: string, signal?: AbortSignal): Promise<Uint8Array> {
  if (signal) addAbortSignal(signal, stream);
  const chunks: Buffer[] = [];
  let total = 0;
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    total += bytes.length;
    if (total > MAX_BYTES) throw tooLarge(label, `more than ${MAX_BYTES}`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Joins the texts and cuts them; pieces without text, such as empty files, leave no trace. */
function assemble(name: string, texts: Piece[], limit: number): Corpus {
  const used: Uint8Array[] = [];
  let characters = 0;
  let totalCharacters = 0;
  for (const { label, bytes } of texts) {
    const normalised = normalise(checkedUtf8(bytes, label));
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
  const text = decode(kept);
  const sha256 = createHash('sha256').update(kept).digest('hex');
  return { name, text, characters, totalCharacters, sha256 };
}

function sourceHint(): string {
  const names = listCorpora().map((corpus) => corpus.name);
  return `Give a text file, a .zip, a directory, - for stdin, or ${names.join(' or ')}.`;
}

function unreadable(source: string, cause: unknown): GruError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const received = missing ? 'no such file' : (cause as Error).message;
  const message = `corpus ${displayName(source)}: expected a readable file or directory, received ${received}`;
  return new GruError('GRU_CORPUS', message, sourceHint(), { cause });
}

function tooLarge(label: string, received: number | string): GruError {
  const message = `${label}: expected at most ${MAX_BYTES} bytes, received ${received}`;
  return new GruError('GRU_CORPUS', message, 'Use a part of the text.');
}

function crowded(root: string, limit: string): GruError {
  const message = `corpus ${displayName(root)}: expected at most ${limit}, received more`;
  return new GruError('GRU_CORPUS', message, 'Name a directory that holds only the texts.');
}
