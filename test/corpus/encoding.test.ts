/** Encodings: known bytes, cut and broken at every place. The GB18030 and Big5 bytes were written by Python's codecs. */

import { describe, expect, it } from 'vitest';
import { checkEncoding, decodeToUtf8, ENCODINGS, type Encoding } from '../../src/encoding.js';
import { GruError } from '../../src/errors.js';

const hex = (digits: string) => Buffer.from(digits, 'hex');
const TEXT = '末班车到了\n风还在吹 a€😀𠀀龘z\r\n';
const GB18030 = hex('c4a9b0e0b3b5b5bdc1cb0ab7e7bbb9d4dab4b52061a2e39439fc3695328236fd937a0d0a');
const BIG5_TEXT = '我的歌 你在哪裡\n無言 abc，祕';
const BIG5 = hex('a7daaababa7120a741a662adfeb8cc0ab54ca8a520616263a141afa6');
const utf16 = (text: string, order: 'le' | 'be') => {
  const bytes = Buffer.from(text, 'utf16le');
  return order === 'be' ? bytes.swap16() : bytes;
};
/** More than a chunk is decoded at a time; a character lies across each border whatever is put before. */
const LONG = '你😀𠀀é'.repeat(40_000);

async function read(bytes: Uint8Array, encoding: Encoding = 'auto', limit = 1e9, signal?: AbortSignal) {
  const before = Buffer.from(bytes);
  const tooLarge = () => new GruError('GRU_CORPUS', 'too large');
  const decoded = await decodeToUtf8(bytes, { encoding, label: 'a.txt', limit, tooLarge, signal });
  expect(before.equals(bytes)).toBe(true);
  return [decoded.encoding, Buffer.from(decoded.bytes).toString('utf8')];
}

async function refusal(bytes: Uint8Array, encoding: Encoding = 'auto'): Promise<GruError> {
  const thrown: unknown = await read(bytes, encoding).catch((error) => error);
  expect(thrown).toBeInstanceOf(GruError);
  const error = thrown as GruError;
  expect(error.code).toBe('GRU_CORPUS');
  expect(error.message).toMatch(/^a\.txt: expected [^\n]+, received [^\n]+$/);
  expect(error.hint).toMatch(/^[^\n]+$/);
  return error;
}

describe('what is read', () => {
  it.each<[string, Uint8Array, Encoding, string, string]>([
    ['UTF-8', Buffer.from(TEXT), 'auto', 'utf-8', TEXT],
    ['UTF-8 by its mark', Buffer.from(`\ufeff${TEXT}`), 'auto', 'utf-8', TEXT],
    ['UTF-8 as said', Buffer.from(TEXT), 'utf-8', 'utf-8', TEXT],
    ['UTF-16LE by its mark', utf16(`\ufeff${TEXT}`, 'le'), 'auto', 'utf-16le', TEXT],
    ['UTF-16BE by its mark', utf16(`\ufeff${TEXT}`, 'be'), 'auto', 'utf-16be', TEXT],
    ['UTF-16LE as said', utf16(TEXT, 'le'), 'utf-16le', 'utf-16le', TEXT],
    ['UTF-16BE as said', utf16(TEXT, 'be'), 'utf-16be', 'utf-16be', TEXT],
    ['UTF-16BE as said, with its mark', utf16(`\ufeff${TEXT}`, 'be'), 'utf-16be', 'utf-16be', TEXT],
    ['GB18030, found', GB18030, 'auto', 'gb18030', TEXT],
    ['GB18030 as said', GB18030, 'gb18030', 'gb18030', TEXT],
    ['GBK, which is GB18030', GB18030, 'gbk', 'gb18030', TEXT],
    ['GB18030 with its mark', Buffer.concat([hex('84319533'), GB18030]), 'auto', 'gb18030', TEXT],
    [
      'traditional characters in GBK',
      hex('b7b1f377d6d0cec4b5c4b8e8d47ec563ef4cdc87'),
      'auto',
      'gb18030',
      '繁體中文的歌詞與風車',
    ],
    ['Big5 as said', BIG5, 'big5', 'big5', BIG5_TEXT],
    ['nothing', new Uint8Array(0), 'auto', 'utf-8', ''],
    ['nothing in UTF-16', hex('fffe'), 'auto', 'utf-16le', ''],
    ['nothing in GB18030', new Uint8Array(0), 'gb18030', 'gb18030', ''],
    // A mark wins over what was asked for: no text in that encoding begins so.
    ['UTF-8 by its mark against Big5', Buffer.from(`\ufeff${TEXT}`), 'big5', 'utf-8', TEXT],
    ['UTF-8 by its mark against UTF-16', Buffer.from(`\ufeff${TEXT}`), 'utf-16le', 'utf-8', TEXT],
    ['UTF-16BE by its mark against UTF-16LE', utf16(`\ufeff${TEXT}`, 'be'), 'utf-16le', 'utf-16be', TEXT],
    ['UTF-16LE by its mark against UTF-8', utf16(`\ufeff${TEXT}`, 'le'), 'utf-8', 'utf-16le', TEXT],
    ['a private character of GB18030, as said', hex('aaa1'), 'gb18030', 'gb18030', '\ue000'],
    ['a NUL, as said', hex('610062'), 'utf-8', 'utf-8', 'a\0b'],
    ['a mark inside the text', utf16('\ufeffa\ufeffb', 'le'), 'auto', 'utf-16le', 'a\ufeffb'],
  ])('%s', async (_, bytes, encoding, found, text) => {
    expect(await read(bytes, encoding)).toEqual([found, text]);
  });

  it.each(['utf-16le', 'utf-16be'] as const)('%s over many chunks, cut anywhere', async (encoding) => {
    for (const before of ['', 'a']) {
      const text = before + LONG;
      expect(await read(utf16(text, encoding === 'utf-16le' ? 'le' : 'be'), encoding)).toEqual([
        encoding,
        text,
      ]);
    }
  });

  it('GB18030 and Big5 over many chunks, cut anywhere', async () => {
    for (const shift of [0, 1, 2, 3]) {
      const before = 'x'.repeat(shift);
      const gb = Buffer.concat([Buffer.from(before), Buffer.concat(Array(12_000).fill(GB18030))]);
      expect((await read(gb))[1]).toBe(before + TEXT.repeat(12_000));
      const big5 = Buffer.concat([Buffer.from(before), Buffer.concat(Array(12_000).fill(BIG5))]);
      expect((await read(big5, 'big5'))[1]).toBe(before + BIG5_TEXT.repeat(12_000));
    }
  });

  it('a mark at the beginning of a chunk is a character', async () => {
    const chunk = Buffer.alloc(1 << 18, 0x61);
    const [, text] = await read(Buffer.concat([chunk, hex('84319533'), GB18030]), 'gb18030');
    expect(text?.slice(1 << 18)).toBe(`\ufeff${TEXT}`);
  });

  it('UTF-8 without a copy', async () => {
    const bytes = Buffer.from(TEXT);
    const options = { encoding: 'auto', label: 'a', limit: 1, tooLarge: () => new Error() } as const;
    expect((await decodeToUtf8(bytes, options)).bytes).toBe(bytes);
  });
});

describe('what is refused', () => {
  it.each<[string, Uint8Array, Encoding, RegExp]>([
    ['UTF-8 for GB18030', Buffer.from('你'), 'gb18030', /GB18030, received byte 0xA0 at byte offset 2$/],
    ['GB18030 for UTF-8', GB18030, 'utf-8', /UTF-8, received byte 0xB0 at byte offset 2$/],
    ['GB18030 for Big5', hex('61b0e0fe'), 'big5', /Big5, received byte 0xFE at byte offset 3$/],
    ['Big5 that was not said', BIG5, 'auto', /UTF-8 or GB18030, received byte 0xA7 at byte offset 0$/],
    [
      'Latin-1',
      Buffer.from('für über', 'latin1'),
      'auto',
      /UTF-8 or GB18030, received byte 0xFC at byte offset 1$/,
    ],
    ['a byte of neither', hex('6161ff61'), 'auto', /UTF-8 or GB18030, received byte 0xFF at byte offset 2$/],
    ['a pair that Big5 does not have', hex('61618740'), 'big5', /Big5, received byte 0x87 at byte offset 2$/],
    [
      'a single byte that Big5 does not have',
      hex('6180'),
      'big5',
      /Big5, received byte 0x80 at byte offset 1$/,
    ],
    ['a four-byte code beyond Unicode', hex('61e3329a36'), 'gb18030', /received byte 0xE3 at byte offset 1$/],
    ['UTF-32', hex('fffe000061000000'), 'auto', /a NUL after the byte order mark, as in UTF-32$/],
    ['UTF-16 without a mark', utf16('abc', 'le'), 'auto', /a text, received a NUL at byte offset 1$/],
    [
      'half a unit',
      hex('610062'),
      'utf-16le',
      /whole units of UTF-16LE, received an odd number of bytes, 3$/,
    ],
    [
      'a high surrogate at the end',
      utf16('a\ud83d', 'le'),
      'utf-16le',
      /half a pair U\+D83D at byte offset 2$/,
    ],
    ['a high surrogate alone', utf16('a\ud83db', 'be'), 'utf-16be', /half a pair U\+D83D at byte offset 2$/],
    [
      'a low surrogate, after a mark',
      utf16('\ufeffa\ude00', 'be'),
      'auto',
      /half a pair U\+DE00 at byte offset 4$/,
    ],
  ])('%s', async (_, bytes, encoding, message) => {
    expect((await refusal(bytes, encoding)).message).toMatch(message);
  });

  it('says what to do', async () => {
    expect((await refusal(hex('ff'))).hint).toMatch(/neither.*--encoding.*iconv/);
    expect((await refusal(utf16('abc', 'le'))).hint).toContain('--encoding utf-16le');
  });

  it('UTF-8 that breaks late is damaged, and no GB18030', async () => {
    // All of it, cut, is strict GB18030: three bytes a character, an even number of them.
    const cut = Buffer.from('你好末班车到了风还在吹啊').subarray(0, 34);
    expect(new TextDecoder('gb18030', { fatal: true }).decode(cut)).not.toBe('');
    const error = await refusal(cut);
    expect(error.message).toMatch(/expected UTF-8, received byte 0xE5 at byte offset 33$/);
    expect(error.hint).toMatch(/cut off or damaged/);
  });

  it('a text cut inside any of its characters', async () => {
    const whole = new Set<number>([0]);
    let end = 0;
    for (const character of TEXT) {
      const code = character.codePointAt(0) as number;
      end += code < 0x80 ? 1 : code > 0xffff ? 4 : character === '龘' ? 2 : 2;
      whole.add(end);
    }
    expect(end).toBe(GB18030.length);
    for (let length = 0; length <= GB18030.length; length++) {
      const cut = GB18030.subarray(0, length);
      if (whole.has(length)) {
        expect(TEXT.startsWith((await read(cut, 'gb18030'))[1] as string)).toBe(true);
        continue;
      }
      const start = Math.max(...[...whole].filter((at) => at < length));
      expect((await refusal(cut, 'gb18030')).message).toMatch(new RegExp(` at byte offset ${start}$`));
    }
  });

  it('names the first bad byte wherever it is, also next to the borders of chunks', async () => {
    const chunk = 1 << 18;
    const long = Buffer.concat(Array(20_000).fill(GB18030));
    for (const place of [0, 2, chunk - 3, chunk - 2, chunk - 1, chunk, chunk + 1, long.length - 1]) {
      const broken = Buffer.from(long);
      broken[place] = 0xff;
      let expected = Math.floor(place / GB18030.length) * GB18030.length;
      const decodes = (to: number) => {
        try {
          new TextDecoder('gb18030', { fatal: true }).decode(broken.subarray(expected, to));
          return true;
        } catch {
          return false;
        }
      };
      for (let to = expected + 1; to <= place; to++) if (decodes(to)) expected = to;
      const { message } = await refusal(broken, 'gb18030');
      expect(message).toMatch(new RegExp(`at byte offset ${expected}$`));
    }
  });

  it('finds the bad byte of a chunk soon', async () => {
    const bytes = Buffer.concat([Buffer.alloc((1 << 18) - 1, 0x61), hex('ff')]);
    const begun = performance.now();
    for (let time = 0; time < 10; time++) await refusal(bytes, 'gb18030');
    expect(performance.now() - begun).toBeLessThan(500);
  });

  it('more than the limit as UTF-8, whatever it is in the file', async () => {
    const expand = hex('b0a1'.repeat(1000));
    for (const [bytes, encoding] of [
      [expand, 'gb18030'],
      [utf16('啊'.repeat(1000), 'le'), 'utf-16le'],
    ] as const) {
      expect((await read(bytes, encoding, 3000))[1]).toHaveLength(1000);
      await expect(read(bytes, encoding, 2999)).rejects.toThrow('too large');
    }
  });

  it('stops on request', async () => {
    const signal = AbortSignal.timeout(1);
    const bytes = Buffer.concat(Array(1_000_000).fill(GB18030));
    await expect(read(bytes, 'gb18030', 1e9, signal)).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(
      read(utf16(LONG.repeat(100), 'le'), 'utf-16le', 1e9, AbortSignal.abort()),
    ).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('any random bytes, or they are text and come back the same', async () => {
    let state = 7;
    const draw = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 16) % below;
    };
    const back = { 'utf-8': 'utf8', 'utf-16le': 'utf16le' } as const;
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from({ length: draw(24) }, () => (draw(2) ? draw(256) : 0xa0 + draw(0x50)));
      const encoding = ENCODINGS[draw(ENCODINGS.length)] as Encoding;
      const result = await read(bytes, encoding).catch((error) => error);
      if (result instanceof GruError) refused++;
      else if (result[0] in back && ![0xef, 0xff, 0xfe].includes(bytes[0] as number)) {
        expect(Buffer.from(result[1], back[result[0] as 'utf-8']).equals(bytes)).toBe(true);
      } else expect(result).toHaveLength(2);
    }
    expect(refused).toBeGreaterThan(500);
  });
});

it('names of encodings are checked', () => {
  for (const encoding of ENCODINGS) expect(checkEncoding(encoding, 'encoding')).toBe(encoding);
  for (const wrong of ['latin1', '', undefined, 5]) {
    expect(() => checkEncoding(wrong, 'encoding')).toThrow(
      /^encoding: expected auto, utf-8, .* or big5, received/,
    );
  }
});
