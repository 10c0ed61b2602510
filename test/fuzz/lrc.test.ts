/** Hostile timed lyrics, beside a plain reading of them by string operations, a character at a time. */

import fc from 'fast-check';
import { plainLyrics } from '../../src/lrc.js';
import { expectRefusal, fuzz } from './campaign.js';

/** Bytes of a file, and characters of its words as often as they are sung. */
const LONGEST = 1_000_000;

const digits = (most: number) =>
  fc.oneof(
    { weight: 9, arbitrary: fc.stringMatching(new RegExp(`^[0-9]{1,${most}}$`)) },
    { weight: 1, arbitrary: fc.constantFrom('', '123456', '0', 'x', '٣', '-1', ' 1') },
  );
const fraction = fc.oneof(
  fc.constant(''),
  fc.tuple(fc.constantFrom('.', ':'), digits(3)).map((parts) => parts.join('')),
);
const tag = fc
  .tuple(fc.constantFrom('[', '[', '<'), digits(2), fc.constantFrom(':', ':', ':', '.'), digits(2), fraction)
  .chain(([open, minutes, colon, seconds, fraction]) =>
    fc
      .constantFrom(...(open === '[' ? [']', ']', ']', ']', '>', ''] : ['>', '>', '>', '>', ']']))
      .map((close) => `${open}${minutes}${colon}${seconds}${fraction}${close}`),
  );
const WORDS = [
  ...[
    '夜',
    'a',
    '春眠不觉晓',
    ' ',
    ' ',
    '\u3000',
    '\u2028',
    ' '.repeat(9),
    ' '.repeat(10),
    '\t',
    '𠀀',
    ':',
    '.',
  ],
  ...[
    '[',
    ']',
    '<',
    '>',
    '[[',
    ']]',
    '[]',
    '[:]',
    '[ti:',
    '[ti:a]',
    '[#:a]',
    '[1a:b]',
    '[al:[00:01]]',
    '[by:x] ',
  ],
  ...['[offset:+500]', `[${'k'.repeat(32)}:v]`, `[${'k'.repeat(33)}:v]`, '00:01', '\0', '\ufeff', '$&', "$'"],
];
/** Lines whose times differ little. */
const timed = fc
  .tuple(fc.constantFrom('', '.5', '.05', ':50', '.500', '.1', '.049'), fc.constantFrom('夜', 'a', 'b'))
  .map(([fraction, words]) => `\n[0:1${fraction}]${words}`);
const piece = fc.oneof(
  { weight: 4, arbitrary: tag },
  { weight: 5, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.constantFrom('\n', '\r', '\r\n', '\n\r') },
  { weight: 1, arbitrary: timed },
);
const repeated = fc
  .tuple(piece, fc.nat({ max: 3000 }))
  .map(([piece, times]: readonly [string, number]) => piece.repeat(times));
/** One line under many times. */
const chorus = fc
  .tuple(fc.nat({ max: 2000 }), fc.nat({ max: 2000 }))
  .map(([times, length]) => '[00:01]'.repeat(times) + '夜'.repeat(length));
const hostile = fc
  .record({
    pieces: fc.array(piece, { maxLength: 40 }),
    many: fc.oneof(
      { weight: 40, arbitrary: fc.constant<string[]>([]) },
      { weight: 1, arbitrary: fc.array(repeated, { minLength: 1, maxLength: 4 }) },
      { weight: 1, arbitrary: chorus.map((line) => [line]) },
    ),
  })
  .map(({ pieces, many }) => Buffer.from([...many, ...pieces].join('')));

const isBlank = (character: string | undefined) => character?.trim() === '';
const isNumber = (text: string, most: number) =>
  text.length >= 1 && text.length <= most && [...text].every((digit) => '0123456789'.includes(digit));

/** The tag that begins at `at`: its end, and its time in milliseconds. */
function tagAt(
  line: string,
  at: number,
  brackets: readonly string[],
): { end: number; time: number } | undefined {
  const pair = brackets.find(([open]) => open === line[at]);
  if (pair === undefined) return undefined;
  const near = line.slice(at + 1, at + 20);
  const length = near.indexOf(pair[1] as string);
  const colon = near.indexOf(':');
  if (length < 0 || colon < 0) return undefined;
  const [minutes, rest] = [near.slice(0, colon), near.slice(colon + 1, Math.max(length, colon + 1))];
  const [seconds = '', fraction = '0', ...more] = rest.split(rest.includes('.') ? '.' : ':');
  if (!isNumber(minutes, 4) || !isNumber(seconds, 2) || !isNumber(fraction, 3) || more.length > 0)
    return undefined;
  const time = 1000 * (60 * Number(minutes) + Number(seconds)) + Number(fraction.padEnd(3, '0'));
  return { end: at + 1 + length + 1, time };
}

/** Whether the line is `[key:value]` alone. */
function isOfFile(line: string): boolean {
  const bare = line.trimStart();
  const [key = ''] = bare.slice(1).split(':', 1);
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ#';
  const isKey =
    letters.includes(key[0] ?? ' ') &&
    key.length <= 32 &&
    [...key].every((sign) => `${letters}0123456789_-`.includes(sign));
  const close = bare.indexOf(']', key.length + 2);
  const isAll = close >= 0 && bare.slice(close + 1).trim() === '';
  return line.length - bare.length <= 9 && bare[0] === '[' && bare[1 + key.length] === ':' && isKey && isAll;
}

/** A line's times, and its words with no tags. */
function plainLine(line: string): { times: number[]; words: string } {
  const times: number[] = [];
  let at = 0;
  for (;;) {
    let next = at;
    while (isBlank(line[next])) next++;
    const found = next - at <= 9 ? tagAt(line, next, ['[]']) : undefined;
    if (found === undefined) break;
    times.push(found.time);
    at = found.end;
  }
  if (times.length === 0 && isOfFile(line)) return { times, words: '' };
  let words = '';
  while (at < line.length) {
    const before = isBlank(line[at]) ? 1 : 0;
    const found = tagAt(line, at + before, ['[]', '<>']);
    if (found === undefined) {
      words += line[at];
      at++;
      continue;
    }
    const after = isBlank(line[found.end]) ? 1 : 0;
    if (before + after > 0) words += ' ';
    at = found.end + after;
  }
  return { times, words: words.trim() };
}

/** The whole as it is sung, or undefined where that is too much. */
function plainSong(text: string): string | undefined {
  const sung: { time: number; lines: string[] }[] = [];
  let current = [-1];
  let lines: string[] = [];
  const close = () => {
    if (lines.length > 0) for (const time of current) sung.push({ time, lines });
  };
  let length = 0;
  for (const line of text.replaceAll('\r\n', '\n').replaceAll('\r', '\n').split('\n')) {
    const { times, words } = plainLine(line);
    if (times.length > 0) {
      close();
      [current, lines] = [times, []];
    }
    if (words !== '') {
      lines.push(words);
      length += current.length * (words.length + 1);
    }
  }
  close();
  if (length > LONGEST) return undefined;
  return sung
    .toSorted((a, b) => a.time - b.time)
    .flatMap(({ lines }) => lines.map((line) => `${line}\n`))
    .join('');
}

/** With what is expected of them, so that the measured time and memory are the package's own. */
const inputs = hostile.map((bytes) => {
  const song = plainSong(bytes.toString());
  return { bytes, expected: song === undefined ? undefined : Buffer.from(song) };
});

fuzz({
  name: 'lrc',
  inputs,
  bytes: ({ bytes }) => bytes,
  attack: ({ bytes, expected }) => {
    const before = Buffer.from(bytes);
    let result: Uint8Array;
    try {
      result = plainLyrics(bytes, 'a.lrc');
    } catch (thrown) {
      if (expected !== undefined) throw thrown;
      return expectRefusal(thrown, 'GRU_CORPUS');
    }
    if (!before.equals(bytes)) throw new Error('expected the bytes as they were, received changed ones');
    if (expected === undefined || !expected.equals(result)) {
      const received = Buffer.from(result).toString().slice(0, 200);
      throw new Error(
        `expected ${JSON.stringify(expected?.toString().slice(0, 200))}, received ${JSON.stringify(received)}`,
      );
    }
    return true;
  },
  runs: 1200,
  // Beside it, a million characters as often as they are sung.
  allowed: { times: 200, beside: 2 ** 23 },
  accepted: [0.5, 0.998],
});
