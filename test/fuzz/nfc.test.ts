/** Hostile texts to compose: marks in any order and number, beside String.normalize of the whole. */

import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { GruError } from '../../src/errors.js';
import { toNfc } from '../../src/nfc.js';
import { expectRefusal, fuzz } from './campaign.js';

/** Bytes that are composed at a time, and marks that may stand in a row. */
const [CHUNK, MOST_MARKS] = [1 << 18, 1000];
/** Characters that join, are joined with, come apart, or do nothing of it. */
const LETTERS = [
  ...[
    'a',
    'e',
    ' ',
    '\n',
    'é',
    '夜',
    '\u4fff',
    '\u9000',
    '𠀀',
    '\u212b',
    '\ufb2c',
    '\u0958',
    '\uf900',
    '😀',
    'か',
  ],
  ...[
    '가',
    '각',
    '힣',
    '\u1100',
    '\u1161',
    '\u11a8',
    '\u11a7',
    '\uafff',
    '\ud7b0',
    '\u{11099}',
    '\u09c7',
    '\u0b92',
  ],
];
const MARKS = [
  ...[
    '\u0301',
    '\u0316',
    '\u0344',
    '\u0345',
    '\u0338',
    '\u3099',
    '\u093c',
    '\u05b0',
    '\u0653',
    '\u20dd',
    '\u09be',
  ],
  ...['\u{1d165}', '\u{1d16d}', '\u{110ba}', '\u{1e8d0}', '\u0bd7'],
];
const part = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...LETTERS) },
  { weight: 2, arbitrary: fc.constantFrom(...MARKS) },
);
const run = fc
  .record({
    marks: fc.array(fc.constantFrom(...MARKS), { minLength: 1, maxLength: 3 }),
    length: fc.oneof(fc.nat({ max: 1100 }), fc.integer({ min: 995, max: 1005 })),
  })
  .map(({ marks, length }) => Array.from({ length }, (_, at) => marks[at % marks.length]).join(''));
const inputs = fc
  .record({
    parts: fc.array(fc.oneof({ weight: 60, arbitrary: part }, { weight: 1, arbitrary: run }), {
      maxLength: 30,
    }),
    // Up to a few bytes before or after a border of chunks.
    filled: fc.oneof(
      { weight: 60, arbitrary: fc.constant(undefined) },
      {
        weight: 1,
        arbitrary: fc.record({
          unit: fc.constantFrom(...LETTERS, 'e\u0301', '\u1100\u1161'),
          short: fc.integer({ min: -2, max: 60 }),
        }),
      },
    ),
    limited: fc.constantFrom('not', 'exactly', 'too much'),
  })
  .map(({ parts, filled, limited }) => {
    const unit = filled?.unit ?? '';
    const times = filled === undefined ? 0 : Math.floor((CHUNK - filled.short) / Buffer.byteLength(unit));
    return { limited, bytes: Buffer.from(unit.repeat(times) + parts.join('')) };
  });

/** Marks of the longest row of them. */
function mostMarks(text: string): number {
  let [most, row] = [0, 0];
  for (const character of text) {
    row = /\p{M}/u.test(character) ? row + 1 : 0;
    most = Math.max(most, row);
  }
  return most;
}

fuzz({
  name: 'NFC',
  inputs,
  bytes: ({ bytes }) => bytes,
  attack: async ({ bytes, limited }) => {
    const before = Buffer.from(bytes);
    const text = bytes.toString();
    const expected = mostMarks(text) > MOST_MARKS ? undefined : text.normalize('NFC');
    const length = Buffer.byteLength(expected ?? '');
    const bound = { not: Number.POSITIVE_INFINITY, exactly: length, 'too much': length - 1 }[limited];
    const limit = expected === text || expected === undefined ? Number.POSITIVE_INFINITY : bound;
    const tooLarge = () => new GruError('GRU_CORPUS', 'too large', 'Use less.');
    const result = await toNfc(bytes, { label: 'a.txt', limit, tooLarge }).catch((thrown: unknown) => {
      const { message } = thrown as Error;
      const isRight =
        expected === undefined
          ? new RegExp(`at most ${MOST_MARKS} combining marks in a row, received \\d{4,}$`).test(message)
          : limit < length && message === 'too large';
      if (!isRight) throw thrown;
      return expectRefusal(thrown, 'GRU_CORPUS');
    });
    if (!before.equals(bytes)) throw new Error('expected the bytes as they were, received changed ones');
    if (result === false) return false;
    if (expected === text && result !== bytes) throw new Error('expected the very bytes, received a copy');
    const isSame = expected !== undefined && isUtf8(result) && Buffer.from(expected).equals(result);
    if (!isSame || limit < length) throw new Error('expected the composed text, received another');
    return true;
  },
  runs: 1000,
  allowed: { times: 64, beside: 2 ** 20 },
  accepted: [0.5, 0.95],
});
