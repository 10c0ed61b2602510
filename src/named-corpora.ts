/**
 * The corpora that have a name: the one inside the package and those that a user may download. Owns where they come
 * from, their licence and hash, and the cache directory; reading their text is corpus.ts's business.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { posix, resolve, win32 } from 'node:path';
import { type DownloadProgress, download } from './download.js';
import { GruError } from './errors.js';
import { ownFile } from './own-files.js';

/** What is known about a named corpus before it is read. */
export interface NamedCorpus {
  name: string;
  /** What it holds, in one line. */
  description: string;
  /** Under what terms it may be used, in one line. */
  license: string;
  /** `package`: part of this package; `download`: fetched on request into the user's cache. */
  origin: 'package' | 'download';
  /** File name, in the package or the cache. */
  file: string;
  /** Where it is fetched from, what the file must hash to (hex SHA-256) and how many bytes it has. */
  remote?: { url: string; sha256: string; bytes: number };
  /** Environment variable that may point at a copy of the file; its hash is checked all the same. */
  environment?: string;
}

/** A named corpus and the state of its file on this machine. */
export interface CorpusListing extends NamedCorpus {
  /** The file, whether it is there or not. */
  path: string;
  /** Whether a file is there; its hash is checked when it is used. */
  available: boolean;
}

export interface CorpusFileOptions {
  /** Forbids downloads. */
  offline?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface FetchCorpusOptions extends CorpusFileOptions {
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

const NAMED_CORPORA: readonly NamedCorpus[] = [
  {
    name: 'songs',
    description: 'Chinese songs written for this package',
    license: 'CC0-1.0',
    origin: 'package',
    file: 'songs.zh.txt',
  },
  {
    name: 'jaychou',
    description: "Lyrics of Jay Chou's first ten albums, the corpus of the book Dive into Deep Learning",
    license: 'copyrighted lyrics, not part of this package: fetched by you, for your own use only',
    origin: 'download',
    file: 'jaychou_lyrics.txt.zip',
    remote: {
      url: 'https://raw.githubusercontent.com/d2l-ai/d2l-zh/0b91b579bb196c748af9a35db14754a273e023c9/data/jaychou_lyrics.txt.zip',
      sha256: '182180582bd7811aa93f4eb954f9a8d7990177044c374b16bd9304132d2dc39c',
      bytes: 53_443,
    },
    environment: 'GRU_NATIVE_JAYCHOU',
  },
];

/** Every named corpus, with the state of its file on this machine; reads no file and no network. */
export function listCorpora(): CorpusListing[] {
  return NAMED_CORPORA.map((corpus) => {
    const path = pathOf(corpus);
    return { ...corpus, path, available: existsSync(path) };
  });
}

/** Whether `name` is the name of a corpus. */
export function isNamedCorpus(name: string): boolean {
  return NAMED_CORPORA.some((corpus) => corpus.name === name);
}

/**
 * Path of a named corpus's file, after checking its hash. Never downloads: `fetchCorpus` does.
 *
 * @param corpus - stands in for the registry's entry, for tests
 * @throws GruError GRU_USAGE for an unknown name, GRU_CORPUS_DOWNLOAD when the file is missing or has another hash.
 */
export async function corpusFile(
  name: string,
  options: CorpusFileOptions = {},
  corpus: NamedCorpus = findCorpus(name),
): Promise<string> {
  return (await readNamedCorpus(name, options, corpus)).path;
}

/**
 * The checked bytes of a named corpus's file, so that what was hashed is what is used.
 *
 * @param corpus - stands in for the registry's entry, for tests
 * @throws GruError as `corpusFile`.
 */
export async function readNamedCorpus(
  name: string,
  options: CorpusFileOptions = {},
  corpus: NamedCorpus = findCorpus(name),
): Promise<{ path: string; bytes: Uint8Array }> {
  const path = pathOf(corpus);
  const hint = missingHint(corpus, options.offline === true);
  const { remote } = corpus;
  let bytes: Buffer;
  try {
    const { size } = await stat(path); // before reading: the variable may point at anything
    if (remote && size !== remote.bytes) {
      const message = `corpus ${name}: expected ${remote.bytes} bytes in ${path}, received ${size}`;
      throw new GruError('GRU_CORPUS_DOWNLOAD', message, hint);
    }
    bytes = await readFile(path, { signal: options.signal });
  } catch (cause) {
    if (cause instanceof GruError) throw cause;
    if (options.signal?.aborted) {
      throw new GruError('GRU_INTERRUPTED', `corpus ${name}: stopped on request`, '', { cause });
    }
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const received = missing ? 'no file' : (cause as Error).message;
    throw new GruError(
      'GRU_CORPUS_DOWNLOAD',
      `corpus ${name}: expected the file ${path}, received ${received}`,
      hint,
      {
        cause,
      },
    );
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (remote && sha256 !== remote.sha256) {
    const message = `corpus ${name}: expected SHA-256 ${remote.sha256} of ${path}, received ${sha256}`;
    throw new GruError('GRU_CORPUS_DOWNLOAD', message, hint);
  }
  return { path, bytes };
}

/**
 * Makes a named corpus available: downloads it into the cache unless a file with the right hash is there already.
 *
 * @param corpus - stands in for the registry's entry, for tests
 * @returns path of the checked file
 * @throws GruError GRU_USAGE for an unknown name, GRU_CORPUS_DOWNLOAD when it cannot be had or `offline` forbids it,
 * GRU_IO when the cache cannot be written, GRU_INTERRUPTED when the signal fires.
 */
export async function fetchCorpus(
  name: string,
  options: FetchCorpusOptions = {},
  corpus: NamedCorpus = findCorpus(name),
): Promise<string> {
  const { remote } = corpus;
  try {
    return await corpusFile(name, options, corpus);
  } catch (error) {
    const replaceable = error instanceof GruError && error.code === 'GRU_CORPUS_DOWNLOAD';
    if (!replaceable || !remote || options.offline || overridePath(corpus) !== undefined) throw error;
  }
  const path = pathOf(corpus);
  const { environment } = corpus;
  await download(remote.url, path, {
    sha256: remote.sha256,
    maxBytes: remote.bytes,
    signal: options.signal,
    onProgress: options.onProgress,
    hint: environment
      ? `Check the network, or download the file by hand and set ${environment} to its path.`
      : 'Check the network and try again.',
  });
  return path;
}

/**
 * Directory for downloaded files: GRU_NATIVE_CACHE, or the platform's place for a user's caches.
 *
 * @param environment - in place of the process's own, for tests; likewise the others
 */
export function cacheDirectory(
  environment: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = homedir(),
): string {
  if (environment.GRU_NATIVE_CACHE) return resolve(environment.GRU_NATIVE_CACHE);
  if (platform === 'win32') {
    const local = environment.LOCALAPPDATA || win32.join(home, 'AppData', 'Local');
    return win32.join(local, 'gru-native', 'Cache');
  }
  if (platform === 'darwin') return posix.join(home, 'Library', 'Caches', 'gru-native');
  const xdg = environment.XDG_CACHE_HOME;
  // The XDG specification has relative paths ignored.
  return posix.join(xdg?.startsWith('/') ? xdg : posix.join(home, '.cache'), 'gru-native');
}

function findCorpus(name: string): NamedCorpus {
  const corpus = NAMED_CORPORA.find((candidate) => candidate.name === name);
  if (corpus) return corpus;
  const names = NAMED_CORPORA.map((candidate) => candidate.name).join(' or ');
  throw new GruError(
    'GRU_USAGE',
    `corpus name: expected ${names}, received ${JSON.stringify(name)}`,
    'List them with: gru-native corpus list',
  );
}

function overridePath(corpus: NamedCorpus): string | undefined {
  const path = corpus.environment && process.env[corpus.environment];
  return path ? resolve(path) : undefined;
}

function pathOf(corpus: NamedCorpus): string {
  if (corpus.origin === 'package') {
    return ownFile(`../corpora/${corpus.file}`);
  }
  return overridePath(corpus) ?? resolve(cacheDirectory(), 'corpora', corpus.file);
}

function missingHint(corpus: NamedCorpus, offline: boolean): string {
  if (corpus.origin === 'package') return 'Install gru-native again; a file of the package is missing.';
  if (overridePath(corpus) !== undefined) {
    return `Point ${corpus.environment} at the file of ${corpus.remote?.url}, or unset it.`;
  }
  const fetch = `Run: gru-native corpus fetch ${corpus.name}`;
  return offline ? `${fetch} (without --offline), or set ${corpus.environment} to a copy of it` : fetch;
}
