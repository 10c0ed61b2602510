/** Composing characters: the same as String.normalize, wherever a text is cut. */

import { describe, expect, it } from 'vitest';
import { GruError } from '../../src/errors.js';
import { toNfc } from '../../src/nfc.js';

const bytesOf = (text: string) => Buffer.from(text);
const composed = async (text: string) =>
  Buffer.from(await toNfc(bytesOf(text), { label: 'a' })).toString('utf8');
/** Bytes composed at a time. */
const CHUNK = 1 << 18;

describe('NFC', () => {
  it('composes, and never makes one of full-width and ordinary characters', async () => {
    expect(await composed('cafe\u0301 ，！\u3000Ａ①ﬁ')).toBe('café ，！\u3000Ａ①ﬁ');
    expect(await composed('\u1112\u1161\u11ab \u212b \u0344')).toBe('한 Å \u0308\u0301');
  });

  it('gives back the very bytes where there is nothing to compose', async () => {
    const bytes = bytesOf('末班车 café 한글\n'.repeat(50_000));
    expect(await toNfc(bytes, { label: 'a' })).toBe(bytes);
  });

  it.each([
    ['a mark', 'e\u0301', 'é'],
    ['two marks', 'a\u0316\u0301', 'á\u0316'],
    ['Hangul of three parts', '\u1112\u1161\u11ab', '한'],
    ['a voiced sound', 'か\u3099', 'が'],
    ['an astral pair', '\u{11099}\u{110ba}', '\u{1109a}'],
  ])('%s at every place around the border of a chunk', async (_, apart, joined) => {
    const size = bytesOf(apart).length;
    for (const fill of ['あ', 'é', 'a', '我']) {
      const width = bytesOf(fill).length;
      for (let place = CHUNK - 2 * size - 3; place <= CHUNK + 3; place++) {
        const before = fill.repeat(Math.floor(place / width)) + 'x'.repeat(place % width);
        const text = `${before}${apart}${fill} end`;
        expect((await composed(text)).slice(before.length)).toBe(`${joined}${fill} end`);
      }
    }
  });

  it('of a text that cannot be cut', async () => {
    const text = 'か\u3099'.repeat(200_000);
    expect(await composed(text)).toBe(text.normalize('NFC'));
  });

  it('holds its limit, and refuses marks without end', async () => {
    const options = { label: 'a.txt', limit: 3, tooLarge: () => new GruError('GRU_CORPUS', 'too large') };
    await expect(toNfc(bytesOf('\u0344\u0344'), options)).rejects.toThrow('too large');
    await expect(composed(`a${'\u0316\u0301'.repeat(1_000_000)}`)).rejects.toThrow(
      /^a: expected at most 1000 combining marks in a row, received 2000000$/,
    );
    expect(await composed(`a${'\u0301'.repeat(1000)}`)).toBe(`á${'\u0301'.repeat(999)}`);
    // Each of these marks takes two units of UTF-16.
    const wide = '\u{1e8d0}';
    expect(await composed(wide.repeat(1000))).toBe(wide.repeat(1000));
    await expect(composed(wide.repeat(1001))).rejects.toThrow(/received 1001$/);
  });

  it('stops on request', async () => {
    const bytes = bytesOf('e\u0301'.repeat(400_000));
    await expect(toNfc(bytes, { label: 'a', signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
