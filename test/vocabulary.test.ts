import { expect, test } from 'vitest';
import { Random } from '../src/random.js';
import { Vocabulary } from '../src/vocabulary.js';

test('ids are given in order of first appearance, by code point', () => {
  const vocabulary = Vocabulary.fromText('雨下 雨😀下a');
  expect(vocabulary.characters).toEqual(['雨', '下', ' ', '😀', 'a']);
  expect([...vocabulary.encode('a😀雨', 'the text')]).toEqual([4, 3, 0]);
  expect(vocabulary.decode([3, 0])).toBe('😀雨');
});

test('a text longer than a block is read as one, with pairs across the borders', () => {
  for (const before of [16_382, 16_383, 16_384]) {
    const text = `${'词'.repeat(before)}😀${'a'.repeat(40_000)}\u{10ffff}😀`;
    const vocabulary = Vocabulary.fromText(text);
    expect(vocabulary.characters).toEqual(['词', '😀', 'a', '\u{10ffff}']);
    const ids = vocabulary.encode(text, 'the text');
    expect(ids).toHaveLength(before + 1 + 40_000 + 2);
    expect(vocabulary.decode(ids)).toBe(text);
  }
});

test('agrees with a plain map of characters on random texts', () => {
  const random = new Random(5, 'test');
  const below = (end: number) => Math.floor(random.nextFloat() * end);
  const ranges = [
    [0, 0x80],
    [0x80, 0x800],
    [0x800, 0xd800],
    [0xe000, 0x10000],
    [0x10000, 0x110000],
  ] as const;
  const draw = () => {
    const [first, end] = ranges[below(ranges.length)] as (typeof ranges)[number];
    return String.fromCodePoint(first + below(end - first));
  };
  for (let round = 0; round < 20; round++) {
    const text = Array.from({ length: 1 + round * 300 }, draw).join('');
    const characters = [...new Set(text)];
    const vocabulary = Vocabulary.fromText(text);
    expect(vocabulary.characters).toEqual(characters);
    const ids = new Map(characters.map((character, id) => [character, id]));
    expect([...vocabulary.encode(text, 'the text')]).toEqual(
      [...text].map((character) => ids.get(character)),
    );
  }
});

test('half a surrogate pair has no id', () => {
  for (const text of ['a\ud83d', 'a\ud83db', '\ude00', 'a\ud83d\ud83d\ude00']) {
    expect(() => Vocabulary.fromText(text)).toThrow(
      /distinct single characters .* received "\\u\{d[8e]\w\w\}" at id [01]/,
    );
  }
  const vocabulary = Vocabulary.fromText('a😀');
  expect(() => vocabulary.encode('a\ud83da', 'the text')).toThrow(/\(U\+D83D\) at position 2/);
  expect(() => vocabulary.encode('😀\ude00', 'the text')).toThrow(/\(U\+DE00\) at position 2/);
  expect(vocabulary.covers('a\ud83d')).toBe(false);
});

test('unknown characters are named with their positions, counted in characters', () => {
  const vocabulary = Vocabulary.fromText('ab😀');
  expect(() => vocabulary.encode('😀bxab\ny', 'the prefix')).toThrow(
    expect.objectContaining({
      code: 'GRU_VOCABULARY',
      message: expect.stringMatching(
        /the prefix .*"x" \(U\+0078\) at position 3, ".*" \(U\+000A\) at position 6/s,
      ),
    }),
  );
  expect(() => vocabulary.encode('123456789', 'the text')).toThrow(/and 4 more/);
  expect(vocabulary.covers('ab')).toBe(true);
  expect(vocabulary.covers('abc')).toBe(false);
});

test.each([[['a', 'a']], [['ab']], [['']], [['\ud800']], [[]], [[1 as unknown as string]]])(
  'a vocabulary must be distinct single characters: %j',
  (characters) => {
    expect(() => new Vocabulary(characters)).toThrow(expect.objectContaining({ code: 'GRU_VOCABULARY' }));
  },
);
