/** The registry, the cache directory, and the rule that only a file with the right hash is used. */

import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadCorpus } from '../../src/corpus.js';
import { GruError } from '../../src/errors.js';
import {
  cacheDirectory,
  corpusFile,
  fetchCorpus,
  isNamedCorpus,
  listCorpora,
  type NamedCorpus,
} from '../../src/named-corpora.js';

const content = Buffer.from('words of a song\n');
let folder: string;
let cached: string;
let server: Server;
let requests: number;
/** The registry's entry, but for a file on this machine. */
let local: NamedCorpus;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gru-native-named-'));
  cached = join(folder, 'corpora', 'jaychou_lyrics.txt.zip');
  vi.stubEnv('GRU_NATIVE_CACHE', folder);
  vi.stubEnv('GRU_NATIVE_JAYCHOU', '');
  requests = 0;
  server = createServer((_, response) => {
    requests++;
    response.end(content);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const entry = listCorpora().find((corpus) => corpus.name === 'jaychou') as NamedCorpus;
  local = {
    ...entry,
    remote: {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      sha256: createHash('sha256').update(content).digest('hex'),
      bytes: content.length,
    },
  };
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  await rm(folder, { recursive: true, force: true });
});

async function failure(attempt: Promise<unknown>): Promise<GruError> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GruError);
  return error as GruError;
}

async function putCached(bytes: Uint8Array): Promise<void> {
  await mkdir(join(folder, 'corpora'), { recursive: true });
  await writeFile(cached, bytes);
}

describe('the registry', () => {
  it('lists what there is, where, under what terms and whether it is here', async () => {
    const [songs, jaychou] = listCorpora();
    expect(songs).toMatchObject({ name: 'songs', origin: 'package', license: 'CC0-1.0', available: true });
    await access(songs?.path as string);
    expect(jaychou).toMatchObject({ name: 'jaychou', origin: 'download', path: cached, available: false });
    expect(jaychou?.license).toContain('copyrighted');
    expect(jaychou?.remote?.url).toMatch(/^https:.*\/0b91b579bb196c748af9a35db14754a273e023c9\//);
    await putCached(content);
    expect(listCorpora()[1]?.available).toBe(true);
    expect(listCorpora()).toHaveLength(2);
  });

  it('knows its names, and only those', async () => {
    expect(isNamedCorpus('songs')).toBe(true);
    for (const name of ['Songs', './songs', 'songs.zh.txt', '', 'toString'])
      expect(isNamedCorpus(name)).toBe(false);
    for (const use of [corpusFile, fetchCorpus]) {
      const error = await failure(use('nope'));
      expect(error.code).toBe('GRU_USAGE');
      expect(error.message).toBe('corpus name: expected songs or jaychou, received "nope"');
    }
  });

  it('has the embedded corpus at hand with no cache and no network', async () => {
    const path = await corpusFile('songs', { offline: true });
    expect((await readFile(path, 'utf8')).length).toBeGreaterThan(1000);
    expect(await fetchCorpus('songs', { offline: true })).toBe(path);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a corpus that is not on this machine', () => {
  it('is not downloaded by loading it; the hint says how to', async () => {
    for (const use of [loadCorpus, corpusFile]) {
      const error = await failure(use('jaychou'));
      expect(error.code).toBe('GRU_CORPUS_DOWNLOAD');
      expect(error.message).toBe(`corpus jaychou: expected the file ${cached}, received no file`);
      expect(error.hint).toBe('Run: gru-native corpus fetch jaychou');
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('is downloaded on request, once', async () => {
    const received: number[] = [];
    const onProgress = (progress: { receivedBytes: number }) => received.push(progress.receivedBytes);
    expect(await fetchCorpus('jaychou', { onProgress }, local)).toBe(cached);
    expect(received.at(-1)).toBe(content.length);
    expect(content.equals(await readFile(cached))).toBe(true);
    expect(await corpusFile('jaychou', { offline: true }, local)).toBe(cached);
    expect(await fetchCorpus('jaychou', { offline: true }, local)).toBe(cached);
    expect(await fetchCorpus('jaychou', {}, local)).toBe(cached);
    expect(requests).toBe(1);
    expect(await readdir(join(folder, 'corpora'))).toEqual(['jaychou_lyrics.txt.zip']);
  });

  it('is not downloaded offline', async () => {
    const error = await failure(fetchCorpus('jaychou', { offline: true }, local));
    expect(error.code).toBe('GRU_CORPUS_DOWNLOAD');
    expect(error.hint).toMatch(/without --offline.*GRU_NATIVE_JAYCHOU/);
    expect((await failure(loadCorpus('jaychou', { offline: true }))).hint).toBe(error.hint);
    expect(requests).toBe(0);
  });

  it('says what to do when the server has another file', async () => {
    const remote = { ...(local.remote as object), sha256: 'f'.repeat(64) } as NamedCorpus['remote'];
    const error = await failure(fetchCorpus('jaychou', {}, { ...local, remote } as NamedCorpus));
    expect(error.code).toBe('GRU_CORPUS_DOWNLOAD');
    expect(error.message).toMatch(/expected SHA-256 f{64}, received [0-9a-f]{64}/);
    expect(error.hint).toMatch(/by hand and set GRU_NATIVE_JAYCHOU/);
    expect(await readdir(join(folder, 'corpora'))).toEqual([]);
  });

  it('stops on request', async () => {
    const signal = AbortSignal.abort();
    expect((await failure(fetchCorpus('jaychou', { signal }, local))).code).toBe('GRU_INTERRUPTED');
    expect(requests).toBe(0);
  });
});

describe('a damaged copy', () => {
  it('is never used, and replaced on request', async () => {
    const damaged = Buffer.from(content);
    damaged[3] = 0;
    await putCached(damaged);
    const error = await failure(corpusFile('jaychou', {}, local));
    expect(error.code).toBe('GRU_CORPUS_DOWNLOAD');
    expect(error.message).toMatch(/expected SHA-256 [0-9a-f]{64} of .*, received [0-9a-f]{64}$/);
    expect(error.hint).toContain('gru-native corpus fetch jaychou');
    await fetchCorpus('jaychou', {}, local);
    expect(content.equals(await readFile(cached))).toBe(true);
  });

  it('of another size is not even read', async () => {
    await putCached(content.subarray(1));
    expect((await failure(corpusFile('jaychou', {}, local))).message).toMatch(
      /expected 16 bytes in .*, received 15$/,
    );
  });
});

describe('GRU_NATIVE_JAYCHOU', () => {
  it('names the file to use, whose hash is checked all the same', async () => {
    const mine = join(folder, 'mine.zip');
    await writeFile(mine, content);
    vi.stubEnv('GRU_NATIVE_JAYCHOU', mine);
    expect(listCorpora()[1]).toMatchObject({ path: mine, available: true });
    expect(await corpusFile('jaychou', {}, local)).toBe(mine);
    expect(await fetchCorpus('jaychou', {}, local)).toBe(mine);
    await writeFile(mine, 'changed content!');
    for (const use of [corpusFile, fetchCorpus]) {
      const error = await failure(use('jaychou', {}, local));
      expect(error.message).toContain('expected SHA-256');
      expect(error.hint).toMatch(/^Point GRU_NATIVE_JAYCHOU at the file of http.*or unset it\.$/);
    }
    expect(await readFile(mine, 'utf8')).toBe('changed content!');
    expect(requests).toBe(0);
  });
});

describe('the cache directory', () => {
  it.each<[NodeJS.ProcessEnv, NodeJS.Platform, string, string]>([
    [{}, 'linux', '/home/a', '/home/a/.cache/gru-native'],
    [{ XDG_CACHE_HOME: '/var/c' }, 'linux', '/home/a', '/var/c/gru-native'],
    [{ XDG_CACHE_HOME: 'relative' }, 'freebsd', '/home/a', '/home/a/.cache/gru-native'],
    [{ XDG_CACHE_HOME: '/var/c' }, 'darwin', '/Users/a', '/Users/a/Library/Caches/gru-native'],
    [{ LOCALAPPDATA: 'D:\\Local' }, 'win32', 'C:\\Users\\a', 'D:\\Local\\gru-native\\Cache'],
    [{}, 'win32', 'C:\\Users\\a', 'C:\\Users\\a\\AppData\\Local\\gru-native\\Cache'],
    [{ GRU_NATIVE_CACHE: '/mine', XDG_CACHE_HOME: '/var/c' }, 'linux', '/home/a', '/mine'],
  ])('with %j on %s and home %s is %s', (environment, platform, home, expected) => {
    expect(cacheDirectory(environment, platform, home)).toBe(expected);
  });

  it('is taken from the process unless told otherwise', () => {
    expect(cacheDirectory()).toBe(folder);
    vi.stubEnv('GRU_NATIVE_CACHE', '');
    expect(cacheDirectory({}, 'darwin')).toBe(join(homedir(), 'Library', 'Caches', 'gru-native'));
  });
});
