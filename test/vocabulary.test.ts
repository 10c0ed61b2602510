import { expect, test } from 'vitest';
import { Vocabulary } from '../src/vocabulary.js';

test('ids are given in order of first appearance, by code point', () => {
  const vocabulary = Vocabulary.fromText('雨下 雨😀下a');
  expect(vocabulary.characters).toEqual(['雨', '下', ' ', '😀', 'a']);
  expect([...vocabulary.encode('a😀雨', 'the text')]).toEqual([4, 3, 0]);
  expect(vocabulary.decode([3, 0])).toBe('😀雨');
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
