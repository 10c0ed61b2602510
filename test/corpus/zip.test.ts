/** Attacks on the archive reader: every one must end in a GruError, and soon. */

import { deflateRawSync, constants as zlib } from 'node:zlib';
import { strToU8, type Zippable, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { GruError } from '../../src/errors.js';
import { isZip, readZipTexts, ZIP_LIMITS } from '../../src/zip.js';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;

/** An archive of named texts; `patch` gets it as a Buffer with the offsets of its headers. */
function archive(files: Zippable, patch: (zip: Buffer, headers: Headers) => void = () => {}): Buffer {
  const zip = Buffer.from(zipSync(files));
  patch(zip, headersOf(zip));
  return zip;
}

interface Headers {
  local: number[];
  central: number[];
  end: number;
}

function headersOf(zip: Buffer): Headers {
  const find = (signature: number) => {
    const found: number[] = [];
    for (let at = 0; at + 4 <= zip.length; at++) if (zip.readUInt32LE(at) === signature) found.push(at);
    return found;
  };
  return { local: find(LOCAL), central: find(CENTRAL), end: find(END).at(-1) as number };
}

function at(list: number[], index: number): number {
  return list[index] as number;
}

/** Replaces the data of a one-entry archive, keeping every header consistent; `bytes` is the declared size. */
function withData(data: Uint8Array, bytes: number, crc = 0, method = 8): Buffer {
  const head = archive({ 'a.txt': [new Uint8Array(0), { level: 0 }] });
  const { local, central, end } = headersOf(head);
  const start = at(local, 0) + 30 + 5;
  const zip = Buffer.concat([head.subarray(0, start), data, head.subarray(at(central, 0))]);
  const shift = start + data.length - at(central, 0);
  const directory = at(central, 0) + shift;
  zip.writeUInt16LE(method, 8);
  zip.writeUInt16LE(method, directory + 10);
  zip.writeUInt32LE(crc, directory + 16);
  zip.writeUInt32LE(data.length, directory + 20);
  zip.writeUInt32LE(bytes, directory + 24);
  zip.writeUInt32LE(directory, end + shift + 16);
  return zip;
}

async function expectRefusal(zip: Uint8Array, reason: RegExp, limits = ZIP_LIMITS): Promise<void> {
  const thrown: unknown = await readZipTexts(zip, 'a.zip', { limits }).catch((error) => error);
  expect(thrown).toBeInstanceOf(GruError);
  const error = thrown as GruError;
  expect(error.code).toBe('GRU_CORPUS');
  expect(error.message).toMatch(/^a\.zip: /);
  expect(error.message).toMatch(reason);
  expect(error.hint).not.toBe('');
}

async function names(zip: Uint8Array): Promise<string[]> {
  return (await readZipTexts(zip, 'a.zip')).map((text) => text.name);
}

const decode = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');

/** Text that compresses about twofold: enough bytes to need many steps. */
function mixedText(bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  let state = 12345;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    out[i] = i % 700 < 300 ? 97 + (state >>> 28) : 97 + (i % 26);
  }
  return out;
}

describe('what is read', () => {
  it('gives the .txt entries sorted by the bytes of their names, at any depth', async () => {
    const zip = archive({
      'b.txt': strToU8('b'),
      'z/a.TXT': strToU8('za'),
      '\u{20000}.txt': strToU8('astral'),
      '\uff5a.txt': strToU8('full width'),
      'a.txt': strToU8('a'),
    });
    const texts = (await readZipTexts(zip, 'a.zip')).map(({ name, bytes }) => [name, decode(bytes)]);
    expect(texts).toEqual([
      ['a.txt', 'a'],
      ['b.txt', 'b'],
      ['z/a.TXT', 'za'],
      ['\uff5a.txt', 'full width'], // UTF-16 order would put the astral name first
      ['\u{20000}.txt', 'astral'],
    ]);
  });

  it('passes over folders, other files, resource forks, dot files and nested archives', async () => {
    const zip = archive({
      'songs/': new Uint8Array(0),
      'songs/a.txt': strToU8('a'),
      'cover.png': new Uint8Array(9),
      '__MACOSX/songs/a.txt': strToU8('fork'),
      'songs/._a.txt': strToU8('fork'),
      '.DS_Store': strToU8('x'),
      'inner.zip': zipSync({ 'b.txt': strToU8('b') }, { level: 0 }),
    });
    expect(await names(zip)).toEqual(['songs/a.txt']);
  });

  it('reads every kind of deflate block, over many steps', async () => {
    const text = mixedText(700_000);
    const kinds = [
      deflateRawSync(text, { level: 0 }),
      deflateRawSync(text, { level: 1, memLevel: 1 }),
      deflateRawSync(text, { level: 9 }),
      deflateRawSync(text, { strategy: zlib.Z_FIXED }),
      deflateRawSync(text, { strategy: zlib.Z_HUFFMAN_ONLY }),
      deflateRawSync(text, { strategy: zlib.Z_RLE }),
    ];
    const crc = Buffer.from(zipSync({ 'a.txt': text })).readUInt32LE(14);
    for (const data of kinds) {
      const [read] = await readZipTexts(withData(data, text.length, crc), 'a.zip');
      expect(text.equals(read?.bytes as Uint8Array)).toBe(true);
    }
  });

  it('reads stored, empty and commented archives, and leaves the archive as it was', async () => {
    const zip = archive({ 'a.txt': [strToU8('stored'), { level: 0 }], 'b.txt': new Uint8Array(0) });
    const before = Buffer.from(zip);
    const texts = await readZipTexts(zip, 'a.zip');
    texts[0]?.bytes.fill(0);
    expect(zip.equals(before)).toBe(true);
    expect(texts.map((text) => text.bytes.length)).toEqual([6, 0]);
    const comment = Buffer.from('a comment');
    const commented = Buffer.concat([zip, comment]);
    commented.writeUInt16LE(comment.length, headersOf(commented).end + 20);
    expect(await names(commented)).toEqual(['a.txt', 'b.txt']);
  });

  it('reads names with and without the UTF-8 flag', async () => {
    const unflagged = archive({ '歌.txt': strToU8('x') }, (zip, { local, central }) => {
      zip.writeUInt16LE(0, at(local, 0) + 6);
      zip.writeUInt16LE(0, at(central, 0) + 8);
    });
    expect(await names(unflagged)).toEqual(['歌.txt']);
    const legacy = archive({ 'aa.txt': strToU8('x') }, (zip, { local, central }) => {
      zip[at(local, 0) + 30] = 0xff;
      zip[at(central, 0) + 46] = 0xff;
    });
    expect(await names(legacy)).toEqual(['ÿa.txt']);
  });

  it('tells archives by their first bytes', () => {
    expect(isZip(archive({ 'a.txt': strToU8('a') }))).toBe(true);
    expect(isZip(archive({}))).toBe(true);
    expect(isZip(strToU8('PK is not enough'))).toBe(false);
  });
});

describe('what is refused', () => {
  it('an archive without texts, naming what it holds', async () => {
    await expectRefusal(
      archive({ 'a.png': strToU8('x'), 'b.zip': strToU8('y') }),
      /received "a\.png", "b\.zip"$/,
    );
    const many = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`${i}.png`, strToU8('x')]));
    await expectRefusal(archive(many), /"4\.png" and 3 more$/);
    await expectRefusal(archive({}), /received no entries/);
  });

  it('encrypted texts, but not for the sake of other files', async () => {
    const encrypt = (zip: Buffer, { local, central }: Headers) => {
      zip.writeUInt16LE(1, at(local, 0) + 6);
      zip.writeUInt16LE(1, at(central, 0) + 8);
    };
    await expectRefusal(archive({ 'a.txt': strToU8('x') }, encrypt), /"a\.txt": .*encrypted/);
    expect(await names(archive({ 'a.png': strToU8('x'), 'b.txt': strToU8('y') }, encrypt))).toEqual([
      'b.txt',
    ]);
  });

  it('an archive cut at any length, or with bytes before or after it', async () => {
    const zip = archive({ 'a.txt': strToU8('some text to cut'), 'b/c.txt': strToU8('and some more') });
    for (let length = 0; length < zip.length; length++)
      await expectRefusal(zip.subarray(0, length), /expected/);
    await expectRefusal(Buffer.concat([zip, Buffer.from('tail')]), /end record/);
    await expectRefusal(Buffer.concat([Buffer.from('head'), zip]), /directory to end at byte/);
  });

  it('every single flipped bit, or reads the very same text', async () => {
    const text = 'what is flipped must not change the text unseen';
    const zip = archive({ 'a.txt': strToU8(text) });
    let refused = 0;
    for (let bit = 0; bit < zip.length * 8; bit++) {
      const broken = Buffer.from(zip);
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        const texts = await readZipTexts(broken, 'a.zip');
        expect(texts.map(({ bytes }) => decode(bytes))).toEqual([text]);
      } catch (error) {
        expect(error).toBeInstanceOf(GruError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(zip.length * 4);
  });

  it('a wrong checksum, naming both', async () => {
    const zip = archive({ 'a.txt': strToU8('text') }, (z, { central }) =>
      z.writeUInt32LE(0xdeadbeef, at(central, 0) + 16),
    );
    await expectRefusal(zip, /"a\.txt": expected CRC-32 deadbeef, received [0-9a-f]{8}$/);
  });

  it('a declared size that lies in either direction, for both methods', async () => {
    for (const level of [0, 6] as const) {
      for (const difference of [-1, 1, 1000]) {
        const zip = archive({ 'a.txt': [strToU8('some text, some text'), { level }] }, (z, { central }) =>
          z.writeUInt32LE(20 + difference, at(central, 0) + 24),
        );
        await expectRefusal(zip, difference < 0 ? /received (more|20)/ : /received 20$/);
      }
    }
  });

  it('a bomb by its declared ratio, and one that declares little by what it produces', async () => {
    const bomb = deflateRawSync(Buffer.alloc(50_000_000));
    await expectRefusal(withData(bomb, 50_000_000), /100-fold/);
    const before = process.memoryUsage().arrayBuffers;
    const start = performance.now();
    await expectRefusal(withData(bomb, 4_000_000), /expected 4000000 bytes, received more/);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200_000_000);
  });

  it('a bomb at the first step too many, without looking at the rest', async () => {
    const open = deflateRawSync(Buffer.alloc(40_000_000), { finishFlush: zlib.Z_SYNC_FLUSH });
    const rest = Buffer.alloc(60_000, 0xff); // would be reported as damaged data
    await expectRefusal(
      withData(Buffer.concat([open, rest]), 4_000_000),
      /expected 4000000 bytes, received more/,
    );
    await expectRefusal(
      withData(Buffer.concat([open, rest]), 9_000_000),
      /expected 9000000 bytes, received more/,
    );
  });

  it('texts above the caps of one entry, of all together, and of their number', async () => {
    const zip = archive({ 'a.txt': strToU8('12345'), 'b.txt': strToU8('12345'), c: strToU8('') });
    await expectRefusal(zip, /at most 4 bytes, received 5/, { ...ZIP_LIMITS, entryBytes: 4 });
    await expectRefusal(zip, /at most 9 bytes of text, received 10/, { ...ZIP_LIMITS, totalBytes: 9 });
    await expectRefusal(zip, /at most 2 entries, received 3/, { ...ZIP_LIMITS, entries: 2 });
    const exact = { ...ZIP_LIMITS, entryBytes: 5, totalBytes: 10, entries: 3 };
    expect(await readZipTexts(zip, 'a.zip', { limits: exact })).toHaveLength(2);
    await expectRefusal(withData(Buffer.alloc(9), 300_000_000), /at most 256000000 bytes/);
  });

  it('bytes after the end of the deflate data, in linear time', async () => {
    const tail = Buffer.concat([deflateRawSync(Buffer.from('x')), Buffer.alloc(40_000_000)]);
    const start = performance.now();
    await expectRefusal(withData(tail, 1), /deflate data to end/);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it('damaged deflate data', async () => {
    await expectRefusal(withData(Buffer.from([0xff, 0xff, 0xff]), 3), /damaged data \(invalid block type\)/);
    await expectRefusal(withData(Buffer.from([0x4b]), 3), /damaged data|expected 3 bytes/);
    await expectRefusal(withData(new Uint8Array(0), 3), /expected 3 bytes, received 0/);
  });

  it('unknown compression methods', async () => {
    await expectRefusal(
      withData(Buffer.from('x'), 1, 0, 14),
      /method 0 \(stored\) or 8 \(deflate\), received 14/,
    );
  });

  it.each([
    ['/etc/a.txt', /an absolute one/],
    ['../a.txt', /one with "\.\."/],
    ['a/../../b.txt', /one with "\.\."/],
    ['a/..', /one with "\.\."/],
    ['a\\b.txt', /a backslash/],
    ['C:a.txt', /a drive letter/],
    ['a\0.txt', /a NUL/],
    ['', /an empty one/],
  ])('the name %j', async (name, reason) => {
    await expectRefusal(archive({ 'good.txt': strToU8('x'), [name]: strToU8('x') }), reason);
  });

  it('but not names that only look alike', async () => {
    const fine = ['..a.txt.txt', 'a..txt', 'a/b..c/d.txt', 'ab:c.txt'];
    expect(await names(archive(Object.fromEntries(fine.map((name) => [name, strToU8('x')]))))).toHaveLength(
      3,
    );
  });

  it('symbolic links, even to what is not a text', async () => {
    const link = { os: 3, attrs: 0o120777 * 65536 };
    await expectRefusal(
      archive({ 'a.txt': strToU8('x'), b: [strToU8('/etc'), link] }),
      /"b" is a symbolic link/,
    );
  });

  it('a name that occurs twice', async () => {
    const zip = archive({ 'a.txt': strToU8('1'), 'b.txt': strToU8('2') }, (z, { local, central }) => {
      z[at(local, 1) + 30] = 0x61;
      z[at(central, 1) + 46] = 0x61;
    });
    await expectRefusal(zip, /"a\.txt" occurs twice/);
  });

  it('entries that share bytes', async () => {
    const same = archive({ 'a.txt': strToU8('1'), 'b.txt': strToU8('2') }, (z, { central }) =>
      z.writeUInt32LE(0, at(central, 1) + 42),
    );
    await expectRefusal(same, /overlap/);
    const quoted = archive({
      'a.txt': [strToU8('0123'), { level: 0 }],
      'b.txt': [strToU8('2'), { level: 0 }],
    });
    quoted.writeUInt32LE(20, at(headersOf(quoted).central, 0) + 20); // reaches into the second local header
    await expectRefusal(quoted, /"a\.txt" and "b\.txt" overlap/);
  });

  it('headers that point outside, or disagree', async () => {
    const files = { 'a.txt': strToU8('1') };
    const outside = archive(files, (z, { central }) => z.writeUInt32LE(5_000_000, at(central, 0) + 42));
    await expectRefusal(outside, /local header at byte 5000000/);
    const long = archive(files, (z, { central }) => z.writeUInt32LE(500, at(central, 0) + 20));
    await expectRefusal(long, /500 bytes of data, received the directory/);
    const renamed = archive(files, (z, { local }) => z.writeUInt8(0x62, at(local, 0) + 30));
    await expectRefusal(renamed, /its two headers differ/);
  });

  it('split archives, zip64, and a directory that lies about its length', async () => {
    const files = { 'a.txt': strToU8('1'), 'b.txt': strToU8('1') };
    await expectRefusal(
      archive(files, (z, { end }) => z.writeUInt16LE(1, end + 4)),
      /split/,
    );
    await expectRefusal(
      archive(files, (z, { end }) => z.writeUInt16LE(1, end + 8)),
      /split/,
    );
    await expectRefusal(
      archive(files, (z, { central }) => z.writeUInt16LE(1, at(central, 1) + 34)),
      /split/,
    );
    await expectRefusal(
      archive(files, (z, { end }) => z.writeUInt32LE(0xffffffff, end + 16)),
      /zip64/,
    );
    await expectRefusal(
      archive(files, (z, { central }) => z.writeUInt32LE(0xffffffff, at(central, 0) + 24)),
      /"a\.txt" needs zip64/,
    );
    const plain = archive(files);
    const { end } = headersOf(plain);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50);
    await expectRefusal(Buffer.concat([plain.subarray(0, end), locator, plain.subarray(end)]), /zip64/);
    const count = (n: number) =>
      archive(files, (z, { end }) => {
        z.writeUInt16LE(n, end + 8);
        z.writeUInt16LE(n, end + 10);
      });
    await expectRefusal(count(1), /expected 1 entries in the directory, received more/);
    await expectRefusal(count(3), /expected 3 entries in the directory, received 2/);
  });
});
