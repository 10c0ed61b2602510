/** What may stand for a character: the order of candidates, and the tables behind it. */

import { describe, expect, test } from 'vitest';
import { nearestTo } from '../src/nearest.js';
import { VARIANTS } from '../src/variants.js';

describe('the order of candidates', () => {
  test.each([
    // the other width, both ways
    ['！', ['!']],
    ['~', ['～']],
    ['\u3000', [' ']],
    [' ', ['\u3000']],
    ['ｱ', ['ア']],
    ['ア', ['ｱ']],
    ['ﾞ', ['\u3099']],
    ['ﾡ', ['ㄱ']],
    ['ㅣ', ['ￜ']],
    ['￣', ['¯']],
    ['￥', ['¥']],
    ['→', ['￫']],
    // forms of Chinese characters, both ways, the dictionaries' order
    ['學', ['学']],
    ['学', ['學']],
    ['发', ['發', '髮']],
    ['台', ['臺', '檯', '颱']],
    ['乾', ['干']],
    // characters that the dictionary to simplified has, but not the one back
    ['为', ['爲', '為']],
    // simplified first, then the form of another region
    ['為', ['为', '爲']],
    ['裏', ['里', '裡']],
    // the other case comes last, behind the other width
    ['é', ['É']],
    ['A', ['Ａ', 'a', 'ａ']],
    ['ａ', ['a', 'Ａ', 'A']],
    ['ǅ', ['ǆ', 'Ǆ']],
    // what becomes more than one character is none
    ['ß', []],
    ['İ', []],
    ['ﬁ', []],
    // no compatibility mapping but those of width
    ['①', []],
    ['²', []],
    ['㈱', []],
    ['龘', []],
    // what only one dictionary has, the other way round
    ['揹', ['背']],
    ['😀', []],
    ['\ud83d', []],
  ])('%j: %j', (character, candidates) => {
    expect(nearestTo(character)).toEqual(candidates);
  });
});

test('every half-width and full-width form of Unicode has its other width, and is that of it', () => {
  const codes = [0x3000, ...Array.from({ length: 0xffee - 0xff00 }, (_, index) => 0xff01 + index)];
  const forms = codes.map((code) => String.fromCodePoint(code)).filter((form) => !/\p{Cn}/u.test(form));
  expect(forms).toHaveLength(226);
  for (const form of forms) {
    const [other = ''] = nearestTo(form);
    expect(other).not.toBe(form);
    expect(nearestTo(other)[0]).toBe(form);
    // Unicode's own word for it, as far as it goes: both have the same compatibility mapping.
    expect(other.normalize('NFKC')).toBe(form.normalize('NFKC'));
  }
});

describe('the table of Chinese characters', () => {
  const entries = VARIANTS.trim().split(/\s+/);

  test('has single characters, at least one form each, none twice and none its own', () => {
    expect(entries.length).toBeGreaterThan(8000);
    for (const entry of entries) {
      const characters = [...entry];
      expect(characters.length, entry).toBeGreaterThan(1);
      expect(new Set(characters).size, entry).toBe(characters.length);
      expect(entry).toMatch(/^\p{Unified_Ideograph}+$/u);
    }
  });

  test('is in ascending order of code points, each character once', () => {
    const codes = entries.map((entry) => entry.codePointAt(0) ?? 0);
    for (const [index, code] of codes.entries()) expect(code).toBeGreaterThan(codes[index - 1] ?? 0);
  });

  test('leads back: a character is among the forms of each of its forms', () => {
    const missing = entries.flatMap((entry) => {
      const [character = '', ...forms] = entry;
      return forms.filter((form) => !nearestTo(form).includes(character)).map((form) => character + form);
    });
    expect(missing).toEqual([]);
  });

  test('is what the candidates are, entry by entry', () => {
    for (const entry of entries) {
      const [character = '', ...forms] = entry;
      expect(nearestTo(character)).toEqual(forms);
    }
  });
});
