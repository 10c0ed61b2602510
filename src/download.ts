/**
 * Downloads one file whose SHA-256 is known: over https, resumed after a cut connection, checked before it gets its
 * name. Owns the transfer; which files exist and where they belong is named-corpora.ts's business.
 */

import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { flush, syncDirectory } from './atomic-file.js';
import { GruError } from './errors.js';

/** How far a download is. */
export interface DownloadProgress {
  /** Bytes on disk so far; falls back to 0 when the transfer must start again. */
  receivedBytes: number;
  /** Bytes in all, where the server says so. */
  totalBytes?: number;
}

export interface DownloadOptions {
  /** Hex SHA-256 that the file must have. */
  sha256: string;
  /** Bytes beyond which the transfer is given up. */
  maxBytes: number;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Attempts after the first one; 3 unless given. */
  retries?: number | undefined;
  /** Milliseconds without a byte after which an attempt counts as failed; 30,000 unless given. */
  stallMilliseconds?: number | undefined;
  /** Milliseconds before the first retry, doubled at each further one; 300 unless given. */
  backoffMilliseconds?: number | undefined;
  /** What to do when it fails, for the error's hint. */
  hint?: string | undefined;
}

const MAX_REDIRECTS = 5;
const MAX_RETRY_AFTER_MILLISECONDS = 30_000;

/** A failure that another attempt may cure. */
class TransientError extends Error {
  constructor(
    message: string,
    readonly waitMilliseconds = 0,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The file being filled, over all attempts. */
interface Transfer {
  file: FileHandle;
  received: number;
  hash: Hash;
  /** Bytes in all, as the server first said. */
  total: number | undefined;
  /** Strong entity tag, so that a resumed body is of the same file. */
  tag: string | null;
  resumed: boolean;
}

/**
 * Downloads `url` to `destination`, replacing a file that is there. The bytes go to a temporary file in the same
 * directory, are checked, flushed to the disk and renamed; on failure nothing is left behind.
 *
 * Only https is used, and http on this machine (localhost, 127.0.0.1, [::1]); redirects are held to the same, and one
 * from the network to this machine is refused.
 *
 * @returns bytes in the file
 * @throws GruError GRU_CORPUS_DOWNLOAD when the server, the network or the hash fails, GRU_IO when the file cannot be
 * written, GRU_INTERRUPTED when the signal fires.
 */
export async function download(url: string, destination: string, options: DownloadOptions): Promise<number> {
  const { retries = 3, backoffMilliseconds = 300, signal } = options;
  const target = checkedUrl(url, url, options);
  const temporary = join(dirname(destination), `.${basename(destination)}.${randomUUID()}.part`);
  const file = await onDisk(temporary, async () => {
    await mkdir(dirname(destination), { recursive: true });
    return open(temporary, 'wx');
  });
  const transfer: Transfer = {
    file,
    received: 0,
    hash: createHash('sha256'),
    total: undefined,
    tag: null,
    resumed: false,
  };
  let placed = false;
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await receive(target, transfer, options);
        await checkHash(url, transfer, options);
        break;
      } catch (error) {
        if (signal?.aborted) throw interrupted(url, signal);
        if (!(error instanceof TransientError)) throw error;
        if (attempt >= retries) {
          const attempts = attempt > 0 ? ` after ${attempt + 1} attempts` : '';
          throw failure(url, `${error.message}${attempts}`, options, error.cause);
        }
        const pause = backoffMilliseconds * 2 ** attempt * (0.75 + Math.random() / 2);
        await delay(Math.max(pause, error.waitMilliseconds), undefined, { signal }).catch(() => {
          throw interrupted(url, signal);
        });
      }
    }
    await onDisk(destination, async () => {
      await flush(file);
      await file.close();
      await rename(temporary, destination);
      await syncDirectory(dirname(destination));
    });
    placed = true;
  } finally {
    if (!placed) {
      await file.close().catch(() => {});
      await rm(temporary, { force: true }).catch(() => {});
    }
  }
  return transfer.received;
}

/** One attempt: asks for what is missing and appends it. Throws TransientError where another attempt may help. */
async function receive(target: URL, transfer: Transfer, options: DownloadOptions): Promise<void> {
  const { stallMilliseconds = 30_000, maxBytes, onProgress } = options;
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(), stallMilliseconds);
  const signal = options.signal ? AbortSignal.any([options.signal, stall.signal]) : stall.signal;
  const network = async <T>(step: () => Promise<T>): Promise<T> => {
    try {
      timer.refresh();
      return await step();
    } catch (cause) {
      const reason = stall.signal.aborted ? `no data for ${stallMilliseconds} ms` : networkReason(cause);
      throw new TransientError(`expected the file, received ${reason}`, 0, { cause });
    }
  };
  try {
    const response = await request(target, transfer, signal, network, options);
    const reader = await body(response, transfer, options);
    onProgress?.(progress(transfer));
    while (reader) {
      const { done, value } = await network(() => reader.read());
      if (done) break;
      if (transfer.received + value.length > maxBytes) throw tooLarge(target, maxBytes, 'more', options);
      await onDisk('the download', () => transfer.file.write(value, 0, value.length, transfer.received));
      transfer.hash.update(value);
      transfer.received += value.length;
      onProgress?.(progress(transfer));
    }
    if (transfer.total !== undefined && transfer.received < transfer.total) {
      throw new TransientError(`expected ${transfer.total} bytes, received ${transfer.received}`);
    }
  } finally {
    clearTimeout(timer);
    stall.abort(); // closes the connection where the body was not read to its end
  }
}

/** Sends the request, following redirects by hand so that each address is checked. */
async function request(
  target: URL,
  transfer: Transfer,
  signal: AbortSignal,
  network: <T>(step: () => Promise<T>) => Promise<T>,
  options: DownloadOptions,
): Promise<Response> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (transfer.received > 0) {
    headers.range = `bytes=${transfer.received}-`;
    if (transfer.tag) headers['if-range'] = transfer.tag;
  }
  let url = target;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await network(() => fetch(url, { headers, signal, redirect: 'manual' }));
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    const next = checkedUrl(location, target.href, options, url);
    if (isLoopback(next) && !isLoopback(url)) {
      throw failure(target.href, `expected a redirect to the network, received one to ${next.host}`, options);
    }
    url = next;
  }
  throw failure(target.href, `expected at most ${MAX_REDIRECTS} redirects, received more`, options);
}

/** Decides what the response is good for and readies the transfer for its body; undefined when it has none. */
async function body(response: Response, transfer: Transfer, options: DownloadOptions) {
  const { status, headers } = response;
  if (status === 206 && transfer.received > 0) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
    const sameFile =
      range?.[2] === '*' || transfer.total === undefined || Number(range?.[2]) === transfer.total;
    if (Number(range?.[1] ?? -1) !== transfer.received || !sameFile) {
      const from = transfer.received;
      await restart(transfer);
      throw new TransientError(`expected bytes from ${from} on, received others`);
    }
    if (range?.[2] !== '*') transfer.total = Number(range?.[2]);
    transfer.resumed = true;
  } else if (status === 200) {
    await restart(transfer);
    const length = headers.get('content-length');
    transfer.total = length !== null && !headers.has('content-encoding') ? Number(length) : undefined;
    const tag = headers.get('etag');
    transfer.tag = tag?.startsWith('"') ? tag : null;
  } else {
    const message = `expected HTTP 200, received HTTP ${status}${response.statusText ? ` ${response.statusText}` : ''}`;
    if (status === 416) await restart(transfer);
    if (status === 408 || status === 416 || status === 429 || status >= 500) {
      const seconds = Number(headers.get('retry-after') ?? 0);
      const wait = seconds > 0 ? Math.min(seconds * 1000, MAX_RETRY_AFTER_MILLISECONDS) : 0;
      throw new TransientError(message, wait);
    }
    throw failure(response.url, message, options);
  }
  if (transfer.total !== undefined && transfer.total > options.maxBytes) {
    throw tooLarge(response.url, options.maxBytes, transfer.total, options);
  }
  return response.body?.getReader();
}

async function restart(transfer: Transfer): Promise<void> {
  if (transfer.received > 0) await onDisk('the download', () => transfer.file.truncate(0));
  transfer.received = 0;
  transfer.hash = createHash('sha256');
  transfer.total = undefined;
  transfer.tag = null;
  transfer.resumed = false;
}

/** A wrong hash of a resumed file may be two files in one: that one is fetched anew, any other is refused. */
async function checkHash(url: string, transfer: Transfer, options: DownloadOptions): Promise<void> {
  const actual = transfer.hash.digest('hex');
  if (actual === options.sha256.toLowerCase()) return;
  const message = `expected SHA-256 ${options.sha256}, received ${actual} (${transfer.received} bytes)`;
  if (!transfer.resumed) throw failure(url, message, options);
  await restart(transfer);
  throw new TransientError(message);
}

function checkedUrl(url: string, asked: string, options: DownloadOptions, base?: URL): URL {
  const parsed = URL.canParse(url, base?.href) ? new URL(url, base) : undefined;
  const allowed = parsed?.protocol === 'https:' || (parsed?.protocol === 'http:' && isLoopback(parsed));
  if (parsed && allowed && !parsed.username && !parsed.password) return parsed;
  const received = parsed ? `${parsed.protocol}//${parsed.host}` : 'no URL';
  throw failure(asked, `expected an https address without a password, received ${received}`, options);
}

function isLoopback(url: URL): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
}

function progress({ received, total }: Transfer): DownloadProgress {
  return total === undefined ? { receivedBytes: received } : { receivedBytes: received, totalBytes: total };
}

/** The system's reason under fetch's bare "fetch failed" and "terminated". */
function networkReason(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (inner as { code?: unknown }).code;
  const message = inner instanceof Error && inner.message ? inner.message : 'a network error';
  return typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message;
}

function failure(url: string, message: string, options: DownloadOptions, cause?: unknown): GruError {
  const hint = options.hint ?? 'Check the network and the address, and try again.';
  return new GruError('GRU_CORPUS_DOWNLOAD', `${url}: ${message}`, hint, { cause });
}

function tooLarge(url: string | URL, limit: number, received: number | string, options: DownloadOptions) {
  return failure(String(url), `expected at most ${limit} bytes, received ${received}`, options);
}

function interrupted(url: string, signal: AbortSignal | undefined): GruError {
  const hint = 'Start it again; nothing was left behind.';
  return new GruError('GRU_INTERRUPTED', `${url}: download stopped on request`, hint, {
    cause: signal?.reason,
  });
}

async function onDisk<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    const hint = 'Free space or choose another cache directory with GRU_NATIVE_CACHE.';
    throw new GruError('GRU_IO', `cannot write ${path}: ${(cause as Error).message}`, hint, { cause });
  }
}
