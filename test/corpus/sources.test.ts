/** Several sources and their containers: globs, .gz, `file.zip!entry`, .lrc; and how their texts are read. */

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { strToU8, zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LoadCorpusOptions, loadCorpus } from '../../src/corpus.js';
import { GruError } from '../../src/errors.js';

let folder: string;
const before = process.cwd();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gru-native-sources-'));
  process.chdir(folder);
});
afterEach(async () => {
  process.chdir(before);
  await rm(folder, { recursive: true, force: true });
});

async function put(files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

const textOf = async (source: string | string[], options: LoadCorpusOptions = {}) =>
  (await loadCorpus(source, { maxChars: 'all', ...options })).text;

async function failure(source: string | string[], options?: LoadCorpusOptions): Promise<GruError> {
  const thrown: unknown = await loadCorpus(source, options).catch((error) => error);
  expect(thrown).toBeInstanceOf(GruError);
  return thrown as GruError;
}

const GBK = Buffer.from('c4a9b0e0b3b5', 'hex'); // 末班车
const ZIP = zipSync({
  'b.txt': strToU8('B'),
  'a.lrc': strToU8('[00:02.00]two\n[00:01.00]one'),
  'notes.md': strToU8('# notes'),
  'deep/c.txt': strToU8('C'),
});

describe('several sources', () => {
  it('are joined by a space in the order given', async () => {
    await put({ 'a.txt': 'A', 'b.txt': 'B\n', 'album/2.txt': '2', 'album/1.txt': '1' });
    const corpus = await loadCorpus(['b.txt', 'album', 'a.txt', 'a.txt']);
    expect(corpus).toMatchObject({
      name: 'b.txt and 3 more',
      text: 'B  1 2 A A',
      sources: ['b.txt', 'album', 'a.txt', 'a.txt'],
      reading: { encoding: 'auto', nfc: false },
      encodings: ['utf-8'],
    });
    expect(await loadCorpus(['a.txt'])).toEqual(await loadCorpus('a.txt'));
  });

  it('with stdin and a named corpus among them', async () => {
    await put({ 'a.txt': 'A' });
    const { text } = await loadCorpus(['a.txt', '-', 'songs'], { maxChars: 12 }, Readable.from(['stdin']));
    expect(text).toMatch(/^A stdin ..../);
    expect((await failure(['-', 'a.txt', '-'])).message).toBe(
      'corpus: expected - at most once, received it again',
    );
    for (const none of [[], [''], ['a.txt', '']]) expect((await failure(none)).code).toBe('GRU_USAGE');
  });

  it('of encodings of their own, which are told', async () => {
    await put({ 'a.txt': 'é', 'b.txt': GBK, 'c.txt': Buffer.from('\ufeff歌', 'utf16le') });
    expect(await loadCorpus(['a.txt', 'b.txt', 'c.txt'])).toMatchObject({
      text: 'é 末班车 歌',
      encodings: ['utf-8', 'gb18030', 'utf-16le'],
    });
    expect((await failure(['a.txt', 'b.txt'], { encoding: 'utf-8' })).message).toMatch(
      /"b\.txt": expected UTF-8/,
    );
    expect((await failure('a.txt', { encoding: 'x' as 'gbk' })).message).toMatch(/^encoding: expected auto/);
    expect((await failure('a.txt', { nfc: 'yes' as unknown as boolean })).message).toMatch(
      /^nfc: expected true or/,
    );
  });

  it('composed only when that is wanted', async () => {
    await put({ 'a.txt': 'cafe\u0301，' });
    expect(await textOf('a.txt')).toBe('cafe\u0301，');
    expect(await textOf('a.txt', { nfc: true })).toBe('café，');
    expect((await loadCorpus('a.txt', { nfc: true, encoding: 'utf-8' })).reading).toEqual({
      encoding: 'utf-8',
      nfc: true,
    });
  });
});

describe('globs', () => {
  it('take files that match, in the order of their paths, links and dot files passed over', async () => {
    await put({
      'lyrics/b.txt': 'b',
      'lyrics/a.txt': 'a',
      'lyrics/c.md': 'c',
      'lyrics/.d.txt': 'no',
      'lyrics/deep/e.txt': 'e',
      'lyrics/deep/er/f.txt': 'f',
      'other/g.txt': 'g',
    });
    await symlink(join(folder, 'other/g.txt'), join(folder, 'lyrics/link.txt'));
    await symlink(join(folder, 'lyrics'), join(folder, 'lyrics/loop'));
    for (const [glob, text] of [
      ['lyrics/*.txt', 'a b'],
      ['./lyrics/*.txt', 'a b'],
      [`${folder}/lyrics/*.txt`, 'a b'],
      ['lyrics/*', 'a b c'],
      ['lyrics/**/*.txt', 'a b e f'],
      ['lyrics/*/*.txt', 'e'],
      ['*/{a,g}.txt', 'a g'],
      ['lyrics/[bc].*', 'b c'],
      ['lyrics/?.md', 'c'],
      [`../${basename(folder)}/lyrics/a.*`, 'a'],
    ] as const) {
      expect(await textOf(glob), glob).toBe(text);
    }
    expect((await failure('lyrics/*.zip')).message).toBe(
      'corpus "lyrics/*.zip": expected files that match, received none',
    );
    expect((await failure('nowhere/*.txt')).message).toMatch(
      /expected a readable file or directory, received no such/,
    );
  });

  it('never win over what exists, and leave parentheses and ! alone', async () => {
    await put({ 'a[1].txt': 'one', 'a1.txt': 'no', 'what?*.txt': 'literal', 'Live (2004)/!x.txt': 'live' });
    expect(await textOf('a[1].txt')).toBe('one');
    expect(await textOf('what?*.txt')).toBe('literal');
    expect(await textOf('Live (2004)/*.txt')).toBe('live');
    expect(await textOf('Live (2004)/!*.txt')).toBe('live');
  });
});

describe('containers', () => {
  it('one entry of a zip, whatever it is called', async () => {
    await put({ 'a.zip': ZIP, 'b!c.zip': ZIP, 'real.zip!b.txt': 'a file', 'real.zip': ZIP });
    expect(await textOf('a.zip')).toBe('one two  B C');
    expect(await textOf('a.zip!b.txt')).toBe('B');
    expect(await textOf('a.zip!deep/c.txt')).toBe('C');
    expect(await textOf('a.zip!a.lrc')).toBe('one two ');
    expect(await textOf('a.zip!notes.md')).toBe('# notes');
    expect(await textOf('b!c.zip!b.txt')).toBe('B');
    expect(await textOf('real.zip!b.txt')).toBe('a file');
    expect(await textOf(['a.zip!deep/c.txt', 'a.zip!b.txt'])).toBe('C B');
    const missing = await failure('a.zip!x.txt');
    expect(missing.message).toMatch(
      /"a\.zip": expected an entry "x\.txt" in the archive, received "b\.txt", "a\.lrc"/,
    );
    expect(missing.hint).toContain('after the !');
    expect((await failure('no.zip!x.txt')).message).toMatch(/"no\.zip!x\.txt": .* received no such file$/);
    await put({ 'plain.txt': 'text' });
    expect((await failure('plain.txt!x')).message).toMatch(/"plain\.txt": expected a zip archive/);
  });

  it('an entry whose name is written in GBK', async () => {
    const zip = Buffer.from(zipSync({ 'abcdef.txt': strToU8('x') }));
    for (let at = zip.indexOf('abcdef'); at >= 0; at = zip.indexOf('abcdef')) GBK.copy(zip, at);
    await put({ 'a.zip': zip });
    expect(await textOf('a.zip!末班车.txt')).toBe('x');
  });

  it('.gz, by its name or its bytes, in folders and from stdin', async () => {
    const packed = gzipSync(GBK);
    const sung = gzipSync('[00:02.00]b\n[00:01.00]a');
    await put({
      'a.txt.gz': packed,
      'a.dat': packed,
      'album/x.lrc.gz': sung,
      'album/y.txt': 'Y',
      'album/z.gz': 'no',
    });
    expect(await loadCorpus('a.txt.gz')).toMatchObject({ text: '末班车', encodings: ['gb18030'] });
    expect(await textOf('a.dat')).toBe('末班车');
    expect(await textOf('album')).toBe('a b  Y');
    const cut = [packed.subarray(0, 5), packed.subarray(5)];
    expect((await loadCorpus('-', {}, Readable.from(cut))).text).toBe('末班车');
    await put({ 'cut.gz': packed.subarray(0, -1), 'plain.gz': 'plain text, longer than a header' });
    expect((await failure('cut.gz')).message).toBe(
      'corpus "cut.gz": expected a whole gzip file, received damaged data (unexpected end of file)',
    );
    expect((await failure('plain.gz')).message).toMatch(/damaged data \(incorrect header check\)$/);
  });

  it('.lrc in files, folders and other encodings', async () => {
    const gbk = Buffer.concat([Buffer.from('[ti:x]\r\n[00:01.00]'), GBK]);
    await put({ 'album/a.lrc': gbk, 'album/b.LRC': '\ufeff[00:09]la', 'album/c.txt': '[00:09]kept' });
    expect(await textOf('album')).toBe('末班车  la  [00:09]kept');
  });

  it('UTF-16 and other encodings from stdin', async () => {
    const wide = Buffer.from('\ufeff歌😀\r\n', 'utf16le');
    const bytes = Array.from(wide, (byte) => Uint8Array.of(byte));
    expect(await loadCorpus('-', {}, Readable.from(bytes))).toMatchObject({
      text: '歌😀 ',
      encodings: ['utf-16le'],
    });
    const { text } = await loadCorpus('-', { encoding: 'big5' }, Readable.from([Buffer.from('a7da', 'hex')]));
    expect(text).toBe('我');
  });

  it('stop on request, while a text is decoded', async () => {
    await put({ 'a.txt': Buffer.concat(Array(3_000_000).fill(GBK)) });
    const error = await failure('a.txt', { signal: AbortSignal.timeout(30), encoding: 'gbk' });
    expect(error).toMatchObject({ code: 'GRU_INTERRUPTED', message: 'corpus "a.txt": stopped on request' });
  });
});
