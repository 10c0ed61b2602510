import { expect, test } from 'vitest';
import { displayCharacter, displayName, firstOf } from '../src/display.js';

test('a name is escaped where it could steer a terminal, and cut where it is long', () => {
  expect(displayName('歌词 a.txt')).toBe('"歌词 a.txt"');
  expect(displayName('\u001b[31m\u009b\u202e"\\\n')).toBe('"\\u{1b}[31m\\u{9b}\\u{202e}\\"\\\\\\u{a}"');
  expect(displayName('x'.repeat(5000))).toHaveLength(122);
});

test.each([
  ['學', '"學" (U+5B78)'],
  ['😀', '"😀" (U+1F600)'],
  [' ', '" " (U+0020)'],
  ['\n', '"\\u{a}" (U+000A)'],
  ['\u001b', '"\\u{1b}" (U+001B)'],
  ['\u202e', '"\\u{202e}" (U+202E)'],
  ['\u2066', '"\\u{2066}" (U+2066)'],
  ['\u2028', '"\\u{2028}" (U+2028)'],
  ['\u{e0041}', '"\\u{e0041}" (U+E0041)'],
  ['\ud83d', '"\\u{d83d}" (U+D83D)'],
  ['"', '"\\"" (U+0022)'],
])('a character is shown with its code point: %j', (character, shown) => {
  expect(displayCharacter(character)).toBe(shown);
});

test('five are named, the others counted', () => {
  expect(firstOf([1, 2, 3, 4, 5], String)).toBe('1, 2, 3, 4, 5');
  expect(firstOf([1, 2, 3, 4, 5, 6, 7], String)).toBe('1, 2, 3, 4, 5 and 2 more');
});
