/** Files made to do harm, or that are no files at all, one by one: pipes, devices, sizes, depth, names. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, describe, expect, test } from 'vitest';
import { updatesPerEpoch } from '../src/batches.js';
import { table } from '../src/cli/table.js';
import { DEFAULT_CONFIG, resolveConfig } from '../src/config.js';
import { corpusFromText, loadCorpus } from '../src/corpus.js';
import { quote } from '../src/display.js';
import { GruError } from '../src/errors.js';
import { encodeFile, MODEL_FILE, newMetadata, readModelFile, TRAINER_FILE } from '../src/model-file.js';
import { native } from '../src/native.js';
import type { TrainOptions } from '../src/setup.js';
import { train } from '../src/train.js';
import { Vocabulary } from '../src/vocabulary.js';

const folder = mkdtempSync(join(tmpdir(), 'gru-native-hostile-'));
afterAll(() => rmSync(folder, { recursive: true }));
const REFERENCE = join(import.meta.dirname, 'reference');
const MODEL = join(REFERENCE, 'model.safetensors');
const FOREIGN = join(REFERENCE, 'foreign-model.safetensors');
const unix = process.platform !== 'win32';

/** The error of a model that cannot be read, and how long it took and how much memory. */
async function refused(path: string, vocabulary?: string): Promise<GruError> {
  const began = performance.now();
  const before = process.memoryUsage.rss();
  const thrown: unknown = await readModelFile(path, vocabulary).catch((error) => error);
  expect(thrown).toBeInstanceOf(GruError);
  const { message, hint } = thrown as GruError;
  expect(message).toMatch(/^\P{Cc}{1,2001}$/u);
  expect(hint).toMatch(/^\P{Cc}{1,2001}$/u);
  expect(performance.now() - began).toBeLessThan(2000);
  expect(process.memoryUsage.rss() - before).toBeLessThan(200e6);
  return thrown as GruError;
}

/** A model file with this text as its metadata. */
function withMetadata(name: string, metadata: string): string {
  const { metadata: _, state: __, ...tensors } = native.decodeModel(encodeFile(TINY, newMetadata(FACTS)));
  const path = join(folder, name);
  writeFileSync(path, native.encodeModel({ ...tensors, metadata }));
  return path;
}

const { device: _device, threads: _threads, ...config } = DEFAULT_CONFIG;
const corpus = corpusFromText('abcd'.repeat(30));
const TINY = {
  vocabSize: 4,
  hiddenSize: 1,
  candidateBias: false,
  parameters: new Float32Array(12 + 3 + 3 + 4 + 4),
};
const FACTS = {
  ...{ hiddenSize: 1, vocabulary: ['a', 'b', 'c', 'd'], epochs: 0, perplexity: null },
  corpus: { name: 'text', characters: 120, sha256: corpus.sha256 },
  config: { ...config, hiddenSize: 1, batchSize: 2, numSteps: 4, prefixes: ['a'] },
};

describe('what is no regular file', () => {
  test.runIf(unix)('a pipe without a writer does not wait', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect((await refused(pipe)).message).toMatch(/a model at .*pipe, received what is no regular file/);
    expect((await refused(FOREIGN, pipe)).message).toMatch(/a vocabulary at .*pipe/);
  });

  test.runIf(unix)('a device that never stops', async () => {
    expect((await refused('/dev/zero')).code).toBe('GRU_MODEL');
    expect((await refused(FOREIGN, '/dev/zero')).code).toBe('GRU_VOCABULARY');
  });

  test('a directory in its place, a name with NUL, a link that leads nowhere', async () => {
    mkdirSync(join(folder, 'nested', MODEL_FILE), { recursive: true });
    expect((await refused(join(folder, 'nested'))).code).toBe('GRU_MODEL');
    expect((await refused('a\0b')).code).toBe('GRU_MODEL');
    await expect(loadCorpus('a\0b')).rejects.toMatchObject({ code: 'GRU_CORPUS' });
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    expect((await refused(join(folder, 'link'))).message).toMatch(/ENOENT/);
  });

  test('a link to a model is that model', async () => {
    symlinkSync(MODEL, join(folder, 'model'));
    expect((await readModelFile(join(folder, 'model'))).hiddenSize).toBe(24);
  });

  test('a name of several lines stays in one line of the message', async () => {
    expect((await refused(join(folder, 'a\nerror: b\u202e'))).message).toContain('a\\u{a}error: b\\u{202e}');
  });
});

describe('sizes', () => {
  test.each([
    ['10 GB of zeros', 0n, 10_000_000_000],
    ['10 GB after a header that is longer than any', 2n ** 33n, 10_000_000_000],
    ['a header that is longer than the file', 90_000_000n, 4096],
    ['a header of 2^64 - 1 bytes', 2n ** 64n - 1n, 4096],
  ])('%s are not read', async (name, header, size) => {
    const path = join(folder, name);
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(header);
    writeFileSync(path, head);
    truncateSync(path, size); // sparse: takes no room on the disk
    const error = await refused(path);
    expect(error).toMatchObject({ code: 'GRU_MODEL' });
    expect(error.message).toMatch(/header/);
    rmSync(path);
  });

  test('a file of less than a header', async () => {
    for (const length of [0, 1, 7, 8]) {
      writeFileSync(join(folder, 'short'), Buffer.alloc(length, 1));
      expect((await refused(join(folder, 'short'))).message).toMatch(/header/);
    }
  });

  test('texts that are small bombs each are one together', async () => {
    const bombs = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`${i}.txt`, new Uint8Array(1_000_000)]),
    );
    writeFileSync(join(folder, 'bombs.zip'), zipSync(bombs));
    await expect(loadCorpus(join(folder, 'bombs.zip'))).rejects.toThrow(
      /at most \d+ bytes of text in \d+, received more/,
    );
  });
});

describe('metadata', () => {
  test.each([
    ['nested 100,000 deep', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['a value nested 5,000 deep', `{"formatVersion":${'['.repeat(5000)}${']'.repeat(5000)}}`],
    ['a million objects', `[${'{},'.repeat(1_000_000)}0]`],
    ['a million keys', `{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":0`).join()}}`],
    ['a text of several lines', 'a\nb\x1b[31m'],
  ])('%s', async (_, json) => {
    expect((await refused(withMetadata('metadata', json))).code).toBe('GRU_MODEL');
  });

  test('ten million lists end in an error, not in the end of memory', () => {
    // 30 MB of JSON, of which V8 would make a gigabyte.
    const path = withMetadata('lists', `[${'[],'.repeat(10_000_000)}0]`);
    const main = join(import.meta.dirname, '../dist/cli/main.js');
    const args = ['--max-old-space-size=160', main, 'inspect', path];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toMatch(/^error: expected JSON metadata in .*, received 10000001 lists/);
    expect(status).toBe(3);
    rmSync(path);
  });

  test.each([
    ['a perplexity below 0', { perplexity: -1 }],
    ['a hidden size that cannot be a text', { hiddenSize: { toString: 1 } }],
    ['an option of every object', { config: { ...FACTS.config, toString: 1 } }],
    ['a prototype for its config', { config: JSON.parse('{"__proto__":{"batchSize":1}}') }],
    ['an option that cannot be a text', { config: { epochs: { toString: 1 } } }],
    ['a hash that is none', { corpus: { ...FACTS.corpus, sha256: 'abc' } }],
    ['half a character', { corpus: { ...FACTS.corpus, characters: 0.5 } }],
    ['a version that is none', { packageVersion: { toString: 1 } }],
    ['a trainer that is none', { trainer: { source: 'a' } }],
  ])('%s', async (_, change) => {
    const json = JSON.stringify({ ...newMetadata(FACTS), ...change });
    const error = await refused(withMetadata('changed', json));
    expect(error.code).toBe('GRU_MODEL');
  });

  test('a perplexity beyond all numbers', async () => {
    const json = JSON.stringify(newMetadata(FACTS)).replace('"perplexity":null', '"perplexity":1e999');
    expect((await refused(withMetadata('infinite', json))).message).toMatch(
      /a perplexity .* received Infinity/,
    );
  });

  test('what is not said of a config is its default, what is said beside is dropped', async () => {
    const said = { ...newMetadata(FACTS), config: { hiddenSize: 1, device: 'cuda', threads: 9 }, extra: 1 };
    const { metadata } = await readModelFile(withMetadata('partial', JSON.stringify(said)));
    expect(metadata).toEqual({ ...newMetadata(FACTS), config: { ...config, hiddenSize: 1 } });
  });

  test.each([
    ['half a surrogate pair', '["\\ud800","b","c","d"]'],
    ['an empty list', '[]'],
    ['numbers', '[1,2,3,4]'],
    ['a list 5,000 deep', `[${'['.repeat(5000)}${']'.repeat(5000)}]`],
    ['a million of the same character', `[${'"a",'.repeat(1_000_000)}"b"]`],
    ['long texts', JSON.stringify(['x\n'.repeat(1_000_000), 'b', 'c', 'd'])],
  ])('a vocabulary of %s', async (_, json) => {
    writeFileSync(join(folder, 'vocabulary.json'), json);
    expect((await refused(FOREIGN, join(folder, 'vocabulary.json'))).code).toBe('GRU_VOCABULARY');
    const said = JSON.stringify(newMetadata(FACTS)).replace('["a","b","c","d"]', () => json);
    expect((await refused(withMetadata('vocabulary', said))).code).toBe('GRU_VOCABULARY');
  });
});

describe('a checkpoint that claims what cannot be', () => {
  const UPDATES = updatesPerEpoch(corpus.characters, resolveConfig(FACTS.config));
  const position = {
    epochs: 0,
    lossSums: [9],
    gradientNorms: [1],
    epochSeconds: 1,
    perplexity: null,
    ...{ best: null, highEpochs: 0, rollbacks: 0 },
    seconds: 1,
  };

  /** What a run does that goes on from this position; it ends after its first epoch. */
  async function resumed(change: Partial<typeof position>): Promise<unknown> {
    const trainer = {
      sources: ['text'],
      reading: { encoding: 'auto', nfc: false } as const,
      position: { ...position, ...change },
      eventLogBytes: 2 ** 40,
    };
    const out = mkdtempSync(join(folder, 'out-'));
    writeFileSync(
      join(out, TRAINER_FILE),
      encodeFile(TINY, { ...newMetadata(FACTS), trainer }, new Float32Array(2)),
    );
    const options: TrainOptions = { corpus, out, resume: true, threads: 1, epochs: 1 };
    try {
      const events = [];
      for await (const event of train(options)) events.push(event.type);
      return events;
    } catch (thrown) {
      return thrown;
    }
  }

  test('a sound one goes on, with an event log shorter than it says', async () => {
    expect(await resumed({})).toContain('epoch');
    const begun = Array.from({ length: UPDATES - 1 }, () => 1);
    expect(await resumed({ lossSums: begun, gradientNorms: begun })).toContain('epoch');
  });

  test('as many updates as an epoch has', async () => {
    const many = Array.from({ length: UPDATES }, () => 1);
    const thrown = await resumed({ lossSums: many, gradientNorms: many });
    expect(thrown).toBeInstanceOf(GruError);
    expect(thrown).toMatchObject({ code: 'GRU_MODEL' });
  });

  test('more epochs than can be', async () => {
    expect(await resumed({ epochs: Number.MAX_SAFE_INTEGER, lossSums: [], gradientNorms: [] })).toEqual(
      expect.arrayContaining(['start', 'end']),
    );
  });
});

describe('messages', () => {
  test('quote any value, short and without throwing', () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const values = [
      undefined,
      null,
      Number.NaN,
      -0,
      1n,
      Symbol('a'),
      () => 1,
      circle,
      { toString: 1 },
      Object.create(null),
    ];
    for (const value of [
      ...values,
      'x'.repeat(1e6),
      Array(1e5).fill(0),
      JSON.parse('['.repeat(9999) + ']'.repeat(9999)),
    ]) {
      expect(quote(value).length).toBeLessThan(100);
    }
    expect([quote('a'), quote([1]), quote(1.5), quote(undefined)]).toEqual([
      '"a"',
      '[1]',
      '1.5',
      'undefined',
    ]);
  });

  test('and tables show what a file says without being steered by it', () => {
    expect(table([['corpus', 'a\x1b[31m\nb\u202e夜']])).toBe('corpus  a\\u{1b}[31m\\u{a}b\\u{202e}夜\n');
  });

  test('refuse options of any kind by their names', () => {
    const epochs: unknown[] = [{ toString: 1 }, Object.create(null), [[]], Symbol('a'), 1n, () => 1];
    for (const value of epochs)
      expect(() => resolveConfig({ epochs: value as number })).toThrow(/for epochs, received/);
    expect(() => resolveConfig(JSON.parse('{"__proto__":{}}'))).toThrow(
      /a training option, received "__proto__"/,
    );
    expect(() => new Vocabulary([])).toThrow(GruError);
  });
});
