/** What `corpus check` counts, and how it is cut to a terminal. */

import { describe, expect, it } from 'vitest';
import { columnsOf, cutToColumns } from '../../src/cli/width.js';
import { characterKinds, countLineEndings, parameterCount, repeatedLines } from '../../src/corpus-facts.js';
import { displayName, visible } from '../../src/display.js';

const lines = (...texts: string[]) => repeatedLines(texts.map((text) => ({ bytes: Buffer.from(text) })));

describe('facts of a corpus', () => {
  it.each([
    ['', 0, 0, 0],
    ['a\nb\r\nc\rd', 1, 1, 1],
    ['\r\r\n\n\r', 1, 1, 2],
    ['\n\r', 1, 0, 1],
    ['上\u2028你\u000b', 0, 0, 0],
  ])('line endings of %j', (text, lf, crlf, cr) => {
    const counts = { lf: 0, crlf: 0, cr: 0 };
    countLineEndings(Buffer.from(text), counts);
    expect(counts).toEqual({ lf, crlf, cr });
    countLineEndings(Buffer.from(text), counts);
    expect(counts).toEqual({ lf: 2 * lf, crlf: 2 * crlf, cr: 2 * cr });
  });

  it('lines that repeat, over all texts', () => {
    expect(lines('la\r\n\r\n la \nb', 'b\rla\nc\n\u3000\n')).toEqual({
      lines: 6,
      distinct: 3,
      truncated: false,
      most: [
        { line: 'la', count: 3 },
        { line: 'b', count: 2 },
      ],
    });
    expect(lines('a\nb\na\nb\nc\nc\nd\nd\nd').most.map(({ line }) => line)).toEqual(['d', 'a', 'b']);
    expect(lines('').most).toEqual([]);
    const long = '😀'.repeat(60);
    expect(lines(`${long}\n${long}`).most).toEqual([{ line: `${'😀'.repeat(39)}…`, count: 2 }]);
  });

  it('kinds of characters', () => {
    expect(characterKinds('aab😀Ａ，\u3000\ufffd\ufffd\u200d\t\u0007')).toEqual({
      kinds: 10,
      singletons: ['b', '😀', 'Ａ', '，', '\u3000', '\u200d', '\t', '\u0007'],
      fullWidth: 3,
      unusual: [
        { character: '\ufffd', count: 2 },
        { character: '\u0007', count: 1 },
      ],
    });
  });

  it('parameters, as the chapter counts them', () => {
    expect(parameterCount(1465, 256)).toBe(1465 * 768 + 256 * 768 + 768 + 256 * 1465 + 1465);
    expect(parameterCount(2, 3)).toBe(2 * 9 + 3 * 9 + 9 + 3 * 2 + 2);
  });
});

describe('a terminal', () => {
  it('counts ideographs and emoji as two columns, marks as none', () => {
    expect([...'a末😀é，'].map(columnsOf)).toEqual([1, 2, 2, 1, 2]);
    expect(columnsOf('e\u0301')).toBe(1);
  });

  it('cuts where the next character would be too wide', () => {
    expect(cutToColumns('末班车', 6)).toBe('末班车');
    expect(cutToColumns('末班车', 5)).toBe('末班…');
    expect(cutToColumns('末班车', 4)).toBe('末…');
    expect(cutToColumns('abcd', 3)).toBe('ab…');
    for (let most = 1; most < 12; most++) {
      expect(columnsOf(cutToColumns('a末b班c😀d，e', most))).toBeLessThanOrEqual(most);
    }
  });

  it('is steered by nothing in a text', () => {
    expect(visible('\x1b[2J\u202e\n末')).toBe('\\u{1b}[2J\\u{202e}\\u{a}末');
    expect(displayName('😀'.repeat(100))).toBe(`"${'😀'.repeat(59)}…"`);
  });
});
