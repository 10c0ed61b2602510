/** Text rules (newlines, encodings, the cut) and every kind of source. */

import { isUtf8 } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { strToU8, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_MAX_CHARS } from '../../src/config.js';
import { corpusFromText, loadCorpus } from '../../src/corpus.js';
import { GruError } from '../../src/errors.js';
import { Random } from '../../src/random.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gru-native-corpus-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
}

async function failure(action: () => unknown): Promise<GruError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(GruError);
    expect((error as GruError).message).not.toContain('\n');
    return error as GruError;
  }
  throw new Error('expected a GruError, received none');
}

const sha256 = (text: string) => createHash('sha256').update(text, 'utf8').digest('hex');

describe('the text', () => {
  it.each([
    ['a\r\nb', 'a b'],
    ['a\nb', 'a b'],
    ['a\rb', 'a b'],
    ['a\n\rb', 'a  b'],
    ['a\r\r\nb', 'a  b'],
    ['a\r\n\r\nb', 'a  b'],
    ['\r\n', ' '],
    ['a\r', 'a '],
    ['\ufeffa', 'a'],
    ['a\ufeffb', 'a\ufeffb'],
    ['\u2028\t', '\u2028\t'],
  ])('%j becomes %j', async (input, text) => {
    const characters = Array.from(text).length;
    const expected = { text, characters, totalCharacters: characters, sha256: sha256(text) };
    expect(corpusFromText(input)).toMatchObject(expected);
    expect(await loadCorpus(await put('newlines.txt', input))).toMatchObject(expected);
  });

  it('is normalised wherever its newlines are, as a replacement in the string would', async () => {
    const alphabet = ['\n', '\r', '\r\n', '*', 'J', '\x8a', 'é', '\u2028', '你', '😀', '\u{10ffff}', ' '];
    const random = new Random(3, 'test');
    const below = (end: number) => Math.floor(random.nextFloat() * end);
    for (let round = 0; round < 200; round++) {
      const kinds = round % 2 ? alphabet : alphabet.filter((kind) => !kind.includes('\r'));
      const draw = () => kinds[below(kinds.length)] as string;
      const input = Array.from({ length: 1 + (round % 40) }, draw).join('');
      const text = input.replace(/\r\n?|\n/g, ' ');
      const characters = [...text].length;
      const expected = { text, characters, totalCharacters: characters, sha256: sha256(text) };
      expect(corpusFromText(input)).toMatchObject(expected);
      const marked = Readable.from([Buffer.from(`\ufeff${input}`)]);
      expect(await loadCorpus('-', {}, marked)).toMatchObject(expected);
    }
  });

  it('is cut by code points, as a list of all characters would be', () => {
    const text = 'aé你😀\r\n👨‍👩‍👧x\u{10ffff}\nend';
    const all = Array.from(text.replace(/\r\n?|\n/g, ' '));
    for (let count = 1; count <= all.length + 2; count++) {
      const kept = all.slice(0, count).join('');
      expect(corpusFromText(text, { maxChars: count })).toEqual({
        name: 'text',
        text: kept,
        characters: Math.min(count, all.length),
        totalCharacters: all.length,
        sha256: sha256(kept),
        sources: [],
        reading: { encoding: 'auto', nfc: false },
        encodings: [],
      });
    }
  });

  it('is cut to the default unless told otherwise', () => {
    const usual = DEFAULT_MAX_CHARS as number;
    const text = '字'.repeat(usual + 5);
    expect(corpusFromText(text)).toMatchObject({ characters: usual, totalCharacters: usual + 5 });
    expect(corpusFromText(text, { maxChars: 'all' }).text).toBe(text);
    expect(corpusFromText(text, { name: 'mine' }).name).toBe('mine');
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', null])(
    'refuses %s characters before it reads anything',
    async (maxChars) => {
      const options = { maxChars: maxChars as number };
      for (const action of [() => corpusFromText('a', options), () => loadCorpus('no/such/file', options)]) {
        const error = await failure(action);
        expect(error.code).toBe('GRU_USAGE');
        expect(error.message).toBe(
          `maxChars: expected a whole number above 0 or 'all', received ${String(maxChars)}`,
        );
      }
    },
  );

  it('refuses half a surrogate pair in a string', async () => {
    const error = await failure(() => corpusFromText('😀a\ud83d', { maxChars: 1 }));
    expect(error.code).toBe('GRU_CORPUS');
    expect(error.message).toContain('U+D83D at index 3');
  });

  it('refuses an empty one', async () => {
    for (const empty of ['', '\ufeff']) {
      expect((await failure(() => corpusFromText(empty))).code).toBe('GRU_CORPUS');
      const error = await failure(async () => loadCorpus(await put('empty.txt', empty)));
      expect(error.code).toBe('GRU_CORPUS');
      expect(error.message).toMatch(/empty\.txt": expected a text, received an empty one$/);
    }
  });
});

describe('strict UTF-8', () => {
  it.each<[string, number[], number]>([
    ['a lone byte', [0x61, 0xff, 0x61], 1],
    ['a lone continuation', [0x61, 0x80], 1],
    ['an overlong slash', [0xc0, 0xaf], 0],
    ['an overlong three-byte form', [0x61, 0xe0, 0x80, 0xaf], 1],
    ['a surrogate', [0xe4, 0xbd, 0xa0, 0xed, 0xa0, 0x80], 3],
    ['a code point above the last', [0x61, 0xf4, 0x90, 0x80, 0x80], 1],
    ['a character cut at the end', [0x61, 0x62, 0xe4, 0xbd], 2],
    ['a character cut by another', [0xe4, 0xbd, 0x61], 0],
    ['a BOM, then a bad byte', [0xef, 0xbb, 0xbf, 0xfe], 3],
    ['GB18030', [...Buffer.from('ab'), 0xc4, 0xe3, 0xba, 0xc3], 2],
  ])('names the first bad byte of %s', async (_, bytes, offset) => {
    const path = await put('broken.txt', Uint8Array.from(bytes));
    const error = await failure(() => loadCorpus(path, { encoding: 'utf-8' }));
    expect(error.code).toBe('GRU_CORPUS');
    const byte = (bytes[offset] as number).toString(16).toUpperCase();
    expect(error.message).toMatch(/broken\.txt": expected UTF-8/);
    expect(error.message).toContain(`byte 0x${byte} at byte offset ${offset}`);
    expect(error.hint).toContain('--encoding');
  });

  it('finds it wherever it is, also next to block borders', async () => {
    const block = 1 << 20;
    const long = Buffer.from('你好ab😀é'.repeat(170_000)); // 17 bytes each
    const places = [
      0,
      1,
      3,
      16,
      1023,
      1024,
      block - 3,
      block - 2,
      block - 1,
      block,
      block + 1,
      2 * block + 3,
    ];
    for (const place of [...places, long.length - 1]) {
      const broken = Buffer.from(long);
      broken[place] = 0xff;
      // The character that the byte breaks begins at the last lead byte before it that is cut short.
      let expected = place;
      while (!isUtf8(broken.subarray(0, expected))) expected--;
      const error = await failure(async () => loadCorpus(await put('long.txt', broken)));
      expect(error.message).toMatch(new RegExp(`at byte offset ${expected}$`));
    }
  });

  it('agrees with the longest valid prefix on random bytes', async () => {
    const alphabet = [0x61, 0x80, 0xbf, 0xc3, 0xa9, 0xe4, 0xbd, 0xa0, 0xed, 0xf0, 0x9f, 0x98, 0xf4, 0x0a];
    let state = 7;
    const draw = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return alphabet[(state >>> 16) % alphabet.length] as number;
    };
    let broken = 0;
    for (let round = 0; round < 300; round++) {
      const prefix = round % 2 ? Buffer.from('你é😀'.repeat(round % 7)) : Buffer.alloc(round % 9, 0x61);
      const bytes = Buffer.concat([prefix, Uint8Array.from({ length: 1 + (round % 12) }, draw)]);
      if (isUtf8(bytes)) continue;
      broken++;
      let valid = 0;
      for (let end = 0; end <= bytes.length; end++) if (isUtf8(bytes.subarray(0, end))) valid = end;
      const error = await failure(() => loadCorpus('-', { encoding: 'utf-8' }, Readable.from([bytes])));
      expect(error.message).toMatch(new RegExp(`^stdin: .* at byte offset ${valid}$`));
    }
    expect(broken).toBeGreaterThan(100);
  });
});

describe('sources', () => {
  it('a text file of any name, called by its base name', async () => {
    const path = await put('deep/lyrics.md', 'la\nla');
    expect(await loadCorpus(path)).toMatchObject({ name: 'lyrics.md', text: 'la la' });
  });

  it('stdin, as text or as an archive', async () => {
    const chunks = Buffer.from('你好\r\n世界');
    const split = Readable.from([chunks.subarray(0, 4), chunks.subarray(4, 7), chunks.subarray(7)]);
    expect(await loadCorpus('-', {}, split)).toMatchObject({ name: 'stdin', text: '你好 世界' });
    const zip = Readable.from([Buffer.from(zipSync({ 'a.txt': strToU8('zipped') }))]);
    expect((await loadCorpus('-', {}, zip)).text).toBe('zipped');
    expect((await failure(() => loadCorpus('-', {}, Readable.from([])))).code).toBe('GRU_CORPUS');
  });

  it.skipIf(process.platform === 'win32')('a pipe in place of a file', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const [corpus] = await Promise.all([loadCorpus(pipe), writeFile(pipe, 'through\na pipe')]);
    expect(corpus).toMatchObject({ name: 'pipe', text: 'through a pipe' });
  });

  it('a zip, told by its bytes or by its name', async () => {
    const bytes = zipSync({ 'b.txt': strToU8('B\r\n'), 'a.txt': strToU8('\ufeffA'), 'c.png': strToU8('C') });
    for (const name of ['texts.zip', 'texts.dat']) {
      const corpus = await loadCorpus(await put(name, bytes));
      expect(corpus).toMatchObject({ name, text: 'A B ', totalCharacters: 4 });
    }
    const notZip = await failure(async () => loadCorpus(await put('fake.zip', 'plain text')));
    expect(notZip.message).toMatch(/fake\.zip": expected a zip archive/);
    const bad = zipSync({ 'ok.txt': strToU8('x'), 'song.txt': Uint8Array.of(0x61, 0xff) });
    const error = await failure(async () => loadCorpus(await put('bad.zip', bad)));
    expect(error.message).toMatch(/bad\.zip", entry "song\.txt": .*0xFF at byte offset 1$/);
  });

  it('a directory, in the order of the bytes of its paths, without links and dot files', async () => {
    const root = join(folder, 'album');
    await put('album/b/2.txt', 'two');
    await put('album/b.txt', 'b');
    await put('album/A.TXT', 'A');
    await put('album/\u{20000}.txt', 'astral');
    await put('album/\uff5a.txt', 'wide');
    await put('album/empty.txt', '');
    await put('album/notes.md', 'no');
    await put('album/._a.txt', 'no');
    await put('album/.git/x.txt', 'no');
    const outside = await put('outside/x.txt', 'no');
    await symlink(outside, join(root, 'link.txt'));
    await symlink(join(folder, 'outside'), join(root, 'linked'));
    await symlink(root, join(root, 'loop'));
    expect(await loadCorpus(root)).toMatchObject({ name: 'album', text: 'A b two wide astral' });
    expect((await loadCorpus(`${root}/`)).name).toBe('album');
    expect(await loadCorpus(root, { maxChars: 4 })).toMatchObject({
      text: 'A b ',
      characters: 4,
      totalCharacters: 19,
    });
    expect((await loadCorpus(root, { maxChars: 3 })).text).toBe('A b');
    expect((await loadCorpus(root, { maxChars: 5 })).text).toBe('A b t');
  });

  it('a directory without texts is refused', async () => {
    await put('images/a.png', 'x');
    const error = await failure(() => loadCorpus(join(folder, 'images')));
    expect(error.code).toBe('GRU_CORPUS');
    expect(error.message).toMatch(/expected \.txt or \.lrc files in the directory, received none$/);
    await put('blank/a.txt', '');
    await put('blank/b.txt', '\ufeff');
    expect((await failure(() => loadCorpus(join(folder, 'blank')))).message).toContain('2 empty ones');
  });

  it('what is not there, or no source at all', async () => {
    const error = await failure(() => loadCorpus(join(folder, 'missing.txt')));
    expect(error.code).toBe('GRU_CORPUS');
    expect(error.message).toMatch(
      /missing\.txt": expected a readable file or directory, received no such file$/,
    );
    expect(error.hint).toContain('songs or jaychou');
    for (const source of ['', undefined]) {
      expect((await failure(() => loadCorpus(source as string))).code).toBe('GRU_USAGE');
    }
  });

  it('a name wins over a file of that name, ./name is the file', async () => {
    const before = process.cwd();
    await put('songs', 'a file called songs');
    process.chdir(folder);
    try {
      expect((await loadCorpus('./songs')).text).toBe('a file called songs');
      const embedded = await loadCorpus('songs', { maxChars: 'all' });
      expect(embedded.name).toBe('songs');
      expect(embedded.characters).toBeGreaterThan(1000);
      expect(embedded.text).not.toMatch(/[\r\n]/);
    } finally {
      process.chdir(before);
    }
  });

  it('counts timed lyrics as often as they are sung', async () => {
    const path = await put('chorus.lrc', '[00:01]'.repeat(999) + '夜'.repeat(999)); // 3 MB of them
    const error = await failure(() => loadCorpus(Array(171).fill(path)));
    expect(error.message).toMatch(
      /chorus\.lrc": expected at most 512000000 bytes, received more .* as UTF-8$/,
    );
  });

  it('stops on request', async () => {
    const path = await put('some.txt', 'text');
    for (const source of [path, folder, 'songs', '-']) {
      const error = await failure(() =>
        loadCorpus(source, { signal: AbortSignal.abort() }, Readable.from(['x'])),
      );
      expect(error.code).toBe('GRU_INTERRUPTED');
    }
    const silent = new Readable({ read() {} });
    const waiting = failure(() => loadCorpus('-', { signal: AbortSignal.timeout(30) }, silent));
    expect((await waiting).code).toBe('GRU_INTERRUPTED');
    expect(silent.destroyed).toBe(true);
  });
});

const reference = process.env.GRU_NATIVE_JAYCHOU;

describe.skipIf(!reference)('the reference lyrics (GRU_NATIVE_JAYCHOU)', () => {
  it.each([
    [10_000, 10_000, 1038],
    [20_000, 20_000, 1465],
    ['all', 64_925, 2613],
  ] as const)('have the known kinds of characters in the first %s', async (maxChars, characters, kinds) => {
    const corpus = await loadCorpus('jaychou', { maxChars });
    expect(corpus).toMatchObject({ name: 'jaychou', characters, totalCharacters: 64_925 });
    expect(new Set(corpus.text).size).toBe(kinds);
    expect(corpus.sha256).toBe(sha256(corpus.text));
    expect(await loadCorpus(reference as string, { maxChars })).toMatchObject({ text: corpus.text });
  });
});
