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
    'ﬁ',
    'Ａ',
    '①',
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
/** Pairs that become one. */
const JOINING = ['e\u0301', 'か\u3099', '\u1100\u1161', '가\u11a8', '\u09c7\u09be', '\u{11099}\u{110ba}'];
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
const hostile = fc
  .record({
    parts: fc.array(fc.oneof({ weight: 60, arbitrary: part }, { weight: 1, arbitrary: run }), {
      maxLength: 30,
    }),
    // Up to a few bytes before or after a border of chunks.
    filled: fc.oneof(
      { weight: 20, arbitrary: fc.constant(undefined) },
      {
        weight: 1,
        arbitrary: fc.record({
          unit: fc.oneof(fc.constantFrom(...LETTERS), fc.constantFrom(...JOINING)),
          short: fc.integer({ min: -40, max: 40 }),
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

/** With what is expected of them, so that the measured time and memory are the package's own. */
const inputs = hostile.map(({ bytes, limited }) => {
  const text = bytes.toString();
  const expected = mostMarks(text) > MOST_MARKS ? undefined : Buffer.from(text.normalize('NFC'));
  return { bytes, limited, expected };
});

fuzz({
  name: 'NFC',
  inputs,
  bytes: ({ bytes }) => bytes,
  attack: async ({ bytes, limited, expected }) => {
    const before = Buffer.from(bytes);
    const length = expected?.length ?? 0;
    const isNfc = expected?.equals(bytes) ?? false;
    const bound = { not: Number.POSITIVE_INFINITY, exactly: length, 'too much': length - 1 }[limited];
    const limit = isNfc || expected === undefined ? Number.POSITIVE_INFINITY : bound;
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
    if (isNfc && result !== bytes) throw new Error('expected the very bytes, received a copy');
    const isSame = expected !== undefined && isUtf8(result) && expected.equals(result);
    if (!isSame || limit < length) throw new Error('expected the composed text, received another');
    return true;
  },
  runs: 600,
  allowed: { times: 128, beside: 2 ** 20 }, // most of it garbage of looking for marks, 256 KiB at a time
  accepted: [0.5, 0.95],
});
