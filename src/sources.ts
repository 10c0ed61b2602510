/**
 * Where a corpus comes from: files, folders, globs, archives, stdin and named corpora, opened one after the other.
 * Owns which files are taken, in which order, and how many bytes may be read; what the bytes mean is corpus.ts's
 * business, what is in an archive zip.ts's and gzip.ts's, named files named-corpora.ts's.
 */

import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { displayName } from './display.js';
import { GruError } from './errors.js';
import { GrowingBytes } from './growing-bytes.js';
import { gunzip, isGzip } from './gzip.js';
import { isNamedCorpus, listCorpora, readNamedCorpus } from './named-corpora.js';
import { isZip, readZipTexts } from './zip.js';

/** Bytes of all texts together, as they are read and as UTF-8; a string in V8 holds 536,870,888 characters. */
export const MAX_BYTES = 512_000_000;
const MAX_FILES = 10_000;
/** Directory entries looked at, so that a wrong path does not walk a whole disk. */
const MAX_ENTRIES = 200_000;
/** What a folder is searched for. */
const TEXT_FILE = /\.(?:txt|lrc)(?:\.gz)?$/i;

/** One text, out of its container but in its own encoding. */
export interface SourceText {
  /** What messages call it. */
  label: string;
  /** Its path, or its name in an archive. */
  name: string;
  /** Owned by whoever gets it. */
  bytes: Uint8Array;
}

export interface ReadSourcesOptions {
  /** Says that downloads are forbidden; reading never downloads, so it only words the hint. */
  offline?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** What `-` reads. */
  stdin: Readable;
}

/**
 * The texts of some sources, in the order given; those of a folder, a glob or an archive in the order of their paths'
 * bytes. Each is opened when it is asked for, so that those before it can be freed.
 *
 * A source is the name of a corpus, `-` for stdin, a path, `file.zip!entry`, or a glob, in this order: what exists is
 * never taken for a glob.
 *
 * @throws GruError GRU_CORPUS, GRU_CORPUS_DOWNLOAD, GRU_INTERRUPTED
 */
export async function* readSources(
  sources: readonly string[],
  options: ReadSourcesOptions,
): AsyncGenerator<SourceText, void, void> {
  let total = 0;
  for (const source of sources) {
    try {
      options.signal?.throwIfAborted();
      for await (const text of readSource(source, options)) {
        total += text.bytes.length;
        if (total > MAX_BYTES) throw tooLarge(text.label, `${total} in all`);
        yield text;
      }
    } catch (cause) {
      if (cause instanceof GruError) throw cause;
      if (options.signal?.aborted) throw stopped(source, cause);
      throw unreadable(source, cause);
    }
  }
}

/** What a source is called where there is no room for its path. */
export function sourceName(source: string): string {
  if (isNamedCorpus(source)) return source;
  if (isGlob(source)) return source.split(/[\\/]/).slice(-2).join('/'); // a pattern alone says too little
  return source === '-' ? 'stdin' : basename(resolve(source)) || source;
}

/** What may be given as a source, for hints. */
export function sourceHint(): string {
  const names = listCorpora().map((corpus) => corpus.name);
  return `Give a text file, a .zip or .gz, a directory, a glob, - for stdin, or ${names.join(' or ')}.`;
}

/** The error for a signal that fired while a source was read. */
export function stopped(source: string, cause: unknown): GruError {
  const message = `corpus ${displayName(source)}: stopped on request`;
  return new GruError('GRU_INTERRUPTED', message, '', { cause });
}

/** The error for more bytes than are read. */
export function tooLarge(label: string, received: number | string): GruError {
  const message = `${label}: expected at most ${MAX_BYTES} bytes, received ${received}`;
  return new GruError('GRU_CORPUS', message, 'Use a part of the text.');
}

async function* readSource(
  source: string,
  options: ReadSourcesOptions,
): AsyncGenerator<SourceText, void, void> {
  const { signal } = options;
  if (isNamedCorpus(source)) {
    const { bytes } = await readNamedCorpus(source, options);
    yield* open({ label: `corpus ${source}`, name: source, bytes }, signal);
    return;
  }
  if (source === '-') {
    const bytes = await readStream(options.stdin, 'stdin', signal);
    yield* open({ label: 'stdin', name: 'stdin', bytes }, signal);
    return;
  }
  try {
    await stat(source);
  } catch (cause) {
    const parts = await splitAtEntry(source);
    if (parts !== undefined) yield* openZip(await readFileText(parts.archive, signal), parts.entry);
    else if (!isGlob(source)) throw cause;
    else yield* readFiles('', await filesOfGlob(source, signal), signal);
    return;
  }
  if ((await stat(source)).isDirectory())
    yield* readFiles(source, await filesOfFolder(source, signal), signal);
  else yield* open(await readFileText(source, signal), signal);
}

/** What the bytes of one file hold: of an archive each of its texts, else the file itself. */
async function* open(
  file: SourceText,
  signal: AbortSignal | undefined,
): AsyncGenerator<SourceText, void, void> {
  if (/\.zip$/i.test(file.name) || isZip(file.bytes)) yield* openZip(file);
  else if (/\.gz$/i.test(file.name) || isGzip(file.bytes)) {
    const name = file.name.replace(/\.gz$/i, '');
    yield { label: file.label, name, bytes: await gunzip(file.bytes, file.label, signal) };
  } else yield file;
}

async function* openZip(file: SourceText, entry?: string): AsyncGenerator<SourceText, void, void> {
  for (const { name, bytes } of await readZipTexts(file.bytes, file.label, { entry })) {
    yield { label: `${file.label}, entry ${displayName(name)}`, name, bytes };
  }
}

/** `file.zip!entry` as its two parts, where there is such a file. */
async function splitAtEntry(source: string): Promise<{ archive: string; entry: string } | undefined> {
  for (let at = source.indexOf('!'); at >= 0; at = source.indexOf('!', at + 1)) {
    const archive = source.slice(0, at);
    const found = await stat(archive).catch(() => undefined);
    if (found?.isFile() && at + 1 < source.length) return { archive, entry: source.slice(at + 1) };
  }
  return undefined;
}

async function readFileText(path: string, signal: AbortSignal | undefined): Promise<SourceText> {
  const stats = await stat(path);
  const label = `corpus ${displayName(path)}`;
  if (stats.size > MAX_BYTES) throw tooLarge(label, stats.size);
  // A pipe or device has no size to go by.
  const bytes = stats.isFile()
    ? await readFile(path, { signal })
    : await readStream(createReadStream(path), label, signal);
  return { label, name: path, bytes };
}

async function readStream(stream: Readable, label: string, signal?: AbortSignal): Promise<Uint8Array> {
  if (signal) addAbortSignal(signal, stream);
  const bytes = new GrowingBytes(1 << 20, MAX_BYTES, () => tooLarge(label, `more than ${MAX_BYTES}`));
  for await (const chunk of stream as AsyncIterable<Buffer | string>) {
    bytes.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  }
  return bytes.taken();
}

async function* readFiles(
  root: string,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<SourceText, void, void> {
  for (const path of paths) yield* open(await readFileText(join(root, path), signal), signal);
}

async function filesOfFolder(root: string, signal: AbortSignal | undefined): Promise<string[]> {
  const paths = await walk(root, Number.POSITIVE_INFINITY, (path) => TEXT_FILE.test(path), signal);
  if (paths.length > 0) return paths;
  const message = `corpus ${displayName(root)}: expected .txt or .lrc files in the directory, received none`;
  throw new GruError('GRU_CORPUS', message, 'Links and dot files are passed over; name another directory.');
}

/** Whether a path holds `*`, `?`, `[...]` or `{...}`. Parentheses and `!` are what they are in the names of songs. */
function isGlob(source: string): boolean {
  return /[*?]|\[[^\]]+\]|\{[^}]+\}/.test(source);
}

async function filesOfGlob(source: string, signal: AbortSignal | undefined): Promise<string[]> {
  const { default: picomatch } = await import('picomatch'); // only here: most runs need none of it
  const onWindows = process.platform === 'win32';
  const pattern = onWindows ? source.replaceAll('\\', '/') : source;
  const { prefix, base, glob } = picomatch.scan(pattern, { nonegate: true });
  const matches = picomatch(glob.replace(/[()]/g, '\\$&'), { nonegate: true, nocase: onWindows });
  const depth = glob.includes('**') ? Number.POSITIVE_INFINITY : glob.split('/').length;
  const root = `${prefix}${base}` || '.';
  const paths = await walk(root, depth, matches, signal);
  if (paths.length > 0) return paths.map((path) => join(root, path));
  const message = `corpus ${displayName(source)}: expected files that match, received none`;
  throw new GruError(
    'GRU_CORPUS',
    message,
    'Links and dot files are passed over; no file has that very name.',
  );
}

/** The paths of files under a folder, down to a depth, in the order of their bytes; without links and dot files. */
async function walk(
  root: string,
  depth: number,
  accepts: (path: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const found: { path: string; key: Buffer }[] = [];
  const folders = [{ path: '', depth: 1 }];
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal?.throwIfAborted();
    for (const entry of await readdir(join(root, folder.path), { withFileTypes: true })) {
      if (++seen > MAX_ENTRIES) throw crowded(root, `${MAX_ENTRIES} files and folders`);
      if (entry.name.startsWith('.')) continue;
      const path = folder.path === '' ? entry.name : `${folder.path}/${entry.name}`;
      if (entry.isDirectory()) {
        if (folder.depth < depth) folders.push({ path, depth: folder.depth + 1 });
      } else if (entry.isFile() && accepts(path)) found.push({ path, key: Buffer.from(path) });
    }
  }
  if (found.length > MAX_FILES) throw crowded(root, `${MAX_FILES} texts`);
  return found.sort((a, b) => Buffer.compare(a.key, b.key)).map(({ path }) => path);
}

function unreadable(source: string, cause: unknown): GruError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const received = missing ? 'no such file' : (cause as Error).message;
  const message = `corpus ${displayName(source)}: expected a readable file or directory, received ${received}`;
  return new GruError('GRU_CORPUS', message, sourceHint(), { cause });
}

function crowded(root: string, limit: string): GruError {
  const message = `corpus ${displayName(root)}: expected at most ${limit}, received more`;
  return new GruError('GRU_CORPUS', message, 'Name a directory that holds only the texts.');
}
