/** Downloads against servers on this machine that misbehave in every way a network does. */

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type DownloadOptions, type DownloadProgress, download } from '../../src/download.js';
import { GruError } from '../../src/errors.js';

const content = Buffer.alloc(300_000);
for (let i = 0; i < content.length; i++) content[i] = (i * 31 + (i >> 8)) & 0xff;
const sha256 = createHash('sha256').update(content).digest('hex');

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let folder: string;
let destination: string;
let server: Server | undefined;
let requests: IncomingMessage[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gru-native-download-'));
  destination = join(folder, 'file.bin');
  requests = [];
});

afterEach(async () => {
  vi.unstubAllGlobals();
  server?.closeAllConnections();
  await new Promise((done) => (server ? server.close(done) : done(undefined)));
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** Serves the answers in turn, the last one for ever; returns the address. */
async function serve(...answers: Answer[]): Promise<string> {
  server = createServer((request, response) => {
    requests.push(request);
    (answers[Math.min(requests.length, answers.length) - 1] as Answer)(request, response);
  });
  await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`;
}

const whole: Answer = (_, response) => response.end(content);
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(code, headers).end('an error page');
  };

/** Promises the whole file, sends `bytes` of it and cuts the connection. */
const cutAfter =
  (bytes: number, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-length': String(content.length), ...headers });
    response.write(content.subarray(0, bytes), () => setTimeout(() => response.destroy(), 20));
  };

/** Answers a Range as it should be, with `body` in place of the file and what `change` says of the header. */
const ranged =
  (body: Buffer = content, change = (range: string) => range): Answer =>
  (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
    const range = change(`bytes ${from}-${body.length - 1}/${body.length}`);
    response.writeHead(206, { 'content-range': range }).end(body.subarray(from));
  };

function fetchFile(url: string, options: Partial<DownloadOptions> = {}): Promise<number> {
  return download(url, destination, { sha256, maxBytes: 1_000_000, backoffMilliseconds: 5, ...options });
}

async function expectFile(left = ['file.bin']): Promise<void> {
  expect(content.equals(await readFile(destination))).toBe(true);
  expect(await readdir(folder)).toEqual(left);
}

async function expectFailure(attempt: Promise<unknown>, code: string, reason: RegExp): Promise<GruError> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GruError);
  expect(error).toMatchObject({ code });
  expect((error as GruError).message).toMatch(reason);
  expect((error as GruError).message).not.toContain('\n');
  expect((error as GruError).hint).not.toBe('');
  expect(await readdir(folder)).toEqual([]);
  return error as GruError;
}

describe('a download', () => {
  it('arrives whole, in a folder that did not exist, and replaces what was there', async () => {
    const url = await serve(whole);
    destination = join(folder, 'deep', 'er', 'file.bin');
    expect(await fetchFile(url)).toBe(content.length);
    expect(content.equals(await readFile(destination))).toBe(true);
    await writeFile(destination, 'old');
    await fetchFile(url, { sha256: sha256.toUpperCase() });
    expect(content.equals(await readFile(destination))).toBe(true);
    expect(await readdir(join(folder, 'deep', 'er'))).toEqual(['file.bin']);
  });

  it('reports its progress, from none to all', async () => {
    const seen: DownloadProgress[] = [];
    const url = await serve((_, response) => {
      response.writeHead(200, { 'content-length': String(content.length) }).end(content);
    });
    await fetchFile(url, { onProgress: (progress) => seen.push(progress) });
    expect(seen[0]).toEqual({ receivedBytes: 0, totalBytes: content.length });
    expect(seen.at(-1)).toEqual({ receivedBytes: content.length, totalBytes: content.length });
    for (let i = 1; i < seen.length; i++) {
      expect(seen[i]?.receivedBytes).toBeGreaterThan(seen[i - 1]?.receivedBytes as number);
    }
  });

  it('arrives from a server that compresses unasked, its total then unknown', async () => {
    const seen: DownloadProgress[] = [];
    const packed = gzipSync(content);
    const url = await serve((_, response) => {
      response
        .writeHead(200, { 'content-encoding': 'gzip', 'content-length': String(packed.length) })
        .end(packed);
    });
    await fetchFile(url, { onProgress: (progress) => seen.push(progress) });
    await expectFile();
    expect(seen.at(-1)).toEqual({ receivedBytes: content.length });
  });

  it('with a wrong hash is refused at once, and the old file stays', async () => {
    const url = await serve(whole);
    const wrong = '0'.repeat(64);
    const error = await expectFailure(
      fetchFile(url, { sha256: wrong, hint: 'do it by hand' }),
      'GRU_CORPUS_DOWNLOAD',
      new RegExp(`expected SHA-256 ${wrong}, received ${sha256} \\(300000 bytes\\)$`),
    );
    expect(error.hint).toBe('do it by hand');
    expect(requests).toHaveLength(1);
    await writeFile(destination, 'old');
    await expect(fetchFile(url, { sha256: wrong })).rejects.toThrow(GruError);
    expect(await readFile(destination, 'utf8')).toBe('old');
  });

  it('passes what a callback throws on, and cleans up', async () => {
    const url = await serve(whole);
    const onProgress = () => {
      throw new RangeError('from the callback');
    };
    await expect(fetchFile(url, { onProgress })).rejects.toThrow(RangeError);
    expect(await readdir(folder)).toEqual([]);
  });

  it('says when it cannot be written', async () => {
    const url = await serve(whole);
    await writeFile(join(folder, 'plain'), '');
    destination = join(folder, 'plain', 'file.bin');
    const error = await fetchFile(url).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'GRU_IO', hint: expect.stringContaining('GRU_NATIVE_CACHE') });
    expect(requests).toHaveLength(0);
  });
});

describe('a cut connection', () => {
  it('is resumed where it was cut, on the same entity', async () => {
    const url = await serve(cutAfter(100_000, { etag: '"v1"' }), ranged());
    await fetchFile(url);
    await expectFile();
    expect(requests.map((request) => request.headers.range)).toEqual([undefined, 'bytes=100000-']);
    expect(requests[1]?.headers['if-range']).toBe('"v1"');
    expect(requests[0]?.headers['accept-encoding']).toBe('identity');
  });

  it('is resumed as often as there are retries', async () => {
    const cutAgain: Answer = (_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 50000-299999/300000', 'content-length': '250000' });
      response.write(content.subarray(50_000, 120_000), () => setTimeout(() => response.destroy(), 20));
    };
    const url = await serve(cutAfter(50_000, { etag: 'W/"weak"' }), cutAgain, ranged());
    await fetchFile(url, { retries: 2 });
    await expectFile();
    expect(requests[2]?.headers.range).toBe('bytes=120000-');
    expect(requests[2]?.headers['if-range']).toBeUndefined();
  });

  it('starts again where the server knows no ranges', async () => {
    const seen: number[] = [];
    const url = await serve(cutAfter(100_000), whole);
    await fetchFile(url, { onProgress: ({ receivedBytes }) => seen.push(receivedBytes) });
    await expectFile();
    expect(requests).toHaveLength(2);
    expect(seen.indexOf(0, 1)).toBeGreaterThan(0);
  });

  it.each<[string, Answer]>([
    ['bytes from elsewhere', ranged(content, (range) => range.replace(/ \d+/, ' 5'))],
    ['another length', ranged(content, (range) => range.replace(/\d+$/, '400000'))],
    ['no Content-Range', ranged(content, () => 'nothing')],
    ['416', status(416)],
  ])('starts again when the answer is %s', async (_, answer) => {
    const seen: number[] = [];
    const url = await serve(cutAfter(100_000), answer, whole);
    await fetchFile(url, { onProgress: ({ receivedBytes }) => seen.push(receivedBytes) });
    await expectFile();
    expect(requests[2]?.headers.range).toBeUndefined();
    expect(Math.max(...seen.slice(0, seen.indexOf(0, 1)))).toBe(100_000); // nothing of that answer was taken
  });

  it('starts again with a shorter file, leaving nothing of the longer one', async () => {
    const longer: Answer = (_, response) => {
      response.writeHead(200, { 'content-length': '400000' });
      response.write(Buffer.alloc(350_000, 1), () => setTimeout(() => response.destroy(), 20));
    };
    const url = await serve(longer, whole);
    await fetchFile(url);
    await expectFile();
  });

  it('goes on where a server sends less than was asked for', async () => {
    const part: Answer = (_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 100000-199999/300000' });
      response.end(content.subarray(100_000, 200_000));
    };
    const url = await serve(cutAfter(100_000), part, ranged());
    await fetchFile(url);
    await expectFile();
    expect(requests[2]?.headers.range).toBe('bytes=200000-');
  });

  it('starts again when the parts are of two files', async () => {
    const url = await serve(cutAfter(100_000), ranged(Buffer.alloc(content.length, 1)), whole);
    await fetchFile(url);
    await expectFile();
    expect(requests).toHaveLength(3);
  });

  it('that never ends well is given up, with the reason and the number of attempts', async () => {
    const url = await serve(cutAfter(1000), cutAfter(500));
    await expectFailure(fetchFile(url, { retries: 2 }), 'GRU_CORPUS_DOWNLOAD', /after 3 attempts$/);
    expect(requests).toHaveLength(3);
  });
});

describe('an error of the server', () => {
  it.each([404, 403, 410, 304])('%i is final', async (code) => {
    const url = await serve(status(code));
    const reason = new RegExp(`expected HTTP 200, received HTTP ${code}`);
    await expectFailure(fetchFile(url), 'GRU_CORPUS_DOWNLOAD', reason);
    expect(requests).toHaveLength(1);
  });

  it.each([500, 503, 429, 408])('%i is tried again', async (code) => {
    const url = await serve(status(code), status(code), whole);
    await fetchFile(url);
    await expectFile();
    expect(requests).toHaveLength(3);
  });

  it('is waited for as long as the server asks', async () => {
    const url = await serve(status(503, { 'retry-after': '1' }), whole);
    const start = performance.now();
    await fetchFile(url);
    expect(performance.now() - start).toBeGreaterThan(950);
  });

  it('that stays is given up', async () => {
    const url = await serve(status(500));
    await expectFailure(
      fetchFile(url, { retries: 1 }),
      'GRU_CORPUS_DOWNLOAD',
      /HTTP 500 .*after 2 attempts$/,
    );
    await expectFailure(fetchFile(url, { retries: 0 }), 'GRU_CORPUS_DOWNLOAD', /HTTP 500 [^(]*Error$/);
  });

  it('a file above the cap is refused, announced or not', async () => {
    const announced = await serve(
      (_, response) => {
        response.writeHead(200, { 'content-length': String(content.length) });
        response.write('x');
      },
      (_, response) => {
        response.write(content.subarray(0, 1000));
        response.end(content.subarray(1000));
      },
    );
    await expectFailure(
      fetchFile(announced, { maxBytes: 299_999 }),
      'GRU_CORPUS_DOWNLOAD',
      /at most 299999 bytes, received 300000$/,
    );
    await expectFailure(
      fetchFile(announced, { maxBytes: 299_999 }),
      'GRU_CORPUS_DOWNLOAD',
      /at most 299999 bytes, received more$/,
    );
    expect(requests).toHaveLength(2);
  });
});

describe('a redirect', () => {
  const to =
    (location: string, code = 302): Answer =>
    (_, response) => {
      response.writeHead(code, { location }).end('elsewhere');
    };

  it.each([301, 302, 303, 307, 308])('%i is followed, and asked again after a cut', async (code) => {
    const url = await serve(to('/there', code), cutAfter(1000), to('/there', code), ranged());
    await fetchFile(url);
    await expectFile();
    expect(requests.map((request) => request.url)).toEqual(['/file.bin', '/there', '/file.bin', '/there']);
    expect(requests[3]?.headers.range).toBe('bytes=1000-');
  });

  it.each([
    ['http://example.invalid/file', 'http://example.invalid'],
    ['http://127.0.0.1.example.invalid/', 'http://127.0.0.1.example.invalid'],
    ['ftp://127.0.0.1/file', 'ftp://127.0.0.1'],
    ['file:///etc/hostname', 'file://'],
    ['http://user:secret@127.0.0.1/', 'http://127.0.0.1'],
  ])('to %s is refused', async (location, shown) => {
    const url = await serve(to(location));
    const error = await expectFailure(fetchFile(url), 'GRU_CORPUS_DOWNLOAD', /expected an https address/);
    expect(error.message.endsWith(`received ${shown}`)).toBe(true);
    expect(requests).toHaveLength(1);
  });

  it('from the network to this machine is refused, within the network it is followed', async () => {
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (url: URL) => {
      asked.push(url.href);
      const location = { '/a': '/b', '/b': 'https://other.invalid/c', '/c': 'http://127.0.0.1:1/d' }[
        url.pathname
      ];
      return new Response(null, { status: 302, headers: { location: location ?? '' } });
    });
    const attempt = fetchFile('https://example.invalid/a');
    await expectFailure(
      attempt,
      'GRU_CORPUS_DOWNLOAD',
      /redirect to the network, received one to 127\.0\.0\.1:1$/,
    );
    expect(asked).toEqual([
      'https://example.invalid/a',
      'https://example.invalid/b',
      'https://other.invalid/c',
    ]);
  });

  it('in a circle ends', async () => {
    const url = await serve(to('/file.bin'));
    await expectFailure(fetchFile(url), 'GRU_CORPUS_DOWNLOAD', /at most 5 redirects/);
    expect(requests).toHaveLength(6);
  });
});

describe('the address', () => {
  it.each([
    'http://example.invalid/a',
    'ftp://example.invalid/a',
    'not an address',
    'https://u:p@example.invalid/',
  ])('%s is refused before anything is sent or written', async (url) => {
    await expectFailure(fetchFile(url), 'GRU_CORPUS_DOWNLOAD', /expected an https address/);
  });
});

describe('the network', () => {
  it('that refuses the connection is tried again, then named', async () => {
    const url = await serve(whole);
    await new Promise((done) => server?.close(done));
    server = undefined;
    await expectFailure(
      fetchFile(url, { retries: 1 }),
      'GRU_CORPUS_DOWNLOAD',
      /ECONNREFUSED.* after 2 attempts$/,
    );
  });

  it('that falls silent counts as cut, before the headers and within the body', async () => {
    const silentBody: Answer = (_, response) => {
      response.writeHead(200, { 'content-length': String(content.length) });
      response.write(content.subarray(0, 1000));
    };
    const url = await serve(() => {}, silentBody, ranged());
    await fetchFile(url, { stallMilliseconds: 100 });
    await expectFile();
    expect(requests.map((request) => request.headers.range)).toEqual([undefined, undefined, 'bytes=1000-']);
    requests.length = 0;
    await rm(destination);
    await expectFailure(
      fetchFile(url, { stallMilliseconds: 50, retries: 0 }),
      'GRU_CORPUS_DOWNLOAD',
      /received no data for 50 ms$/,
    );
  });

  it('that is slow but not silent is waited for', async () => {
    const url = await serve((_, response) => {
      let sent = 0;
      const timer = setInterval(() => {
        response.write(content.subarray(sent, sent + 60_000));
        sent += 60_000;
        if (sent >= content.length) {
          clearInterval(timer);
          response.end();
        }
      }, 150);
    });
    await fetchFile(url, { stallMilliseconds: 500, retries: 0 });
    await expectFile();
  });
});

describe('a signal', () => {
  it('stops a download under way, one that waits to try again, and one not begun', async () => {
    const silent: Answer = (_, response) => {
      response.writeHead(200, { 'content-length': String(content.length) });
      response.write(content.subarray(0, 1000));
    };
    const stopped = /download stopped on request$/;
    const url = await serve(silent, status(500));
    const underWay = new AbortController();
    const onProgress = ({ receivedBytes }: DownloadProgress) => receivedBytes > 0 && underWay.abort();
    const first = fetchFile(url, { signal: underWay.signal, onProgress, retries: 0 });
    await expectFailure(first, 'GRU_INTERRUPTED', stopped);
    const waiting = fetchFile(url, { signal: AbortSignal.timeout(100), backoffMilliseconds: 60_000 });
    await expectFailure(waiting, 'GRU_INTERRUPTED', stopped);
    expect(requests).toHaveLength(2);
    await expectFailure(fetchFile(url, { signal: AbortSignal.abort() }), 'GRU_INTERRUPTED', stopped);
    expect(requests).toHaveLength(2);
  });
});
