/**
 * Lyrics with times (.lrc) to plain lines. Owns what a tag is.
 *
 * A line is written once for each of its time tags, in the order of time, which is how the song is sung: a chorus
 * under three tags stands three times. Lines without a time, such as translations, stay under the line before them.
 * Tags of words and of the file (`[ti:...]`) and empty lines are left out.
 */

import { GruError } from './errors.js';
import { decode } from './utf8.js';

/**
 * Bytes of one file, and UTF-16 code units of its words as often as they are sung; a song has a few thousand. Lines take
 * up to 150 times their bytes, and nothing stops their reading.
 */
const MAX_LENGTH = 1_000_000;

/** `[mm:ss]`, `[mm:ss.xx]`, `[mm:ss:xx]`, where the search stands. All its parts are bounded, so it cannot be slow. */
const TIME_TAG = /\s{0,9}\[(\d{1,4}):(\d{1,2})(?:[.:](\d{1,3}))?\]/y;
/** The same inside a line, or as `<mm:ss.xx>`, with the blanks around it. */
const WORD_TAG = /(\s?)(?:\[\d{1,4}:\d{1,2}(?:[.:]\d{1,3})?\]|<\d{1,4}:\d{1,2}(?:[.:]\d{1,3})?>)(\s?)/g;
/** A whole line `[key:value]`. */
const FILE_TAG = /^\s{0,9}\[[A-Za-z#][\w#-]{0,31}:[^\]]*\]\s*$/;

/** A line that is sung once or more, with the lines that go with it. */
interface Group {
  /** In seconds; none for what stands before the first time. */
  times: number[];
  lines: string[];
  length: number;
}

/**
 * The words of an .lrc file as UTF-8, a newline after each line.
 *
 * @param bytes - valid UTF-8; only read
 * @param label - what messages call the file
 * @throws GruError GRU_CORPUS for more than a million bytes, or characters as often as they are sung
 */
export function plainLyrics(bytes: Uint8Array, label: string): Uint8Array {
  if (bytes.length > MAX_LENGTH) throw tooLong(label, `${MAX_LENGTH} bytes`, bytes.length);
  let group: Group = { times: [Number.NEGATIVE_INFINITY], lines: [], length: 0 };
  const groups = [group];
  for (const line of decode(bytes).split(/\r\n?|\n/)) {
    const { times, words } = readLine(line);
    if (times.length > 0) {
      group = { times, lines: [], length: 0 };
      groups.push(group);
    }
    if (words === '') continue;
    group.lines.push(words);
    group.length += words.length + 1;
  }
  const length = groups.reduce((sum, { times, length }) => sum + times.length * length, 0);
  if (length > MAX_LENGTH) throw tooLong(label, `${MAX_LENGTH} characters with every repetition`, length);
  const sung = groups
    .filter(({ lines }) => lines.length > 0)
    .flatMap(({ times, lines }) => {
      const words = `${lines.join('\n')}\n`; // one string however often it is sung
      return times.map((time) => ({ time, words }));
    })
    .sort((a, b) => a.time - b.time || 0); // stable: equal times in the file's order
  return Buffer.from(sung.map(({ words }) => words).join(''));
}

/** A line's times and its words without tags. */
function readLine(line: string): { times: number[]; words: string } {
  const times: number[] = [];
  let at = 0;
  for (TIME_TAG.lastIndex = 0; ; at = TIME_TAG.lastIndex) {
    const match = TIME_TAG.exec(line);
    if (match === null) break;
    const [, minutes, seconds, fraction = '0'] = match;
    times.push(60 * Number(minutes) + Number(seconds) + Number(`0.${fraction}`));
  }
  if (times.length === 0 && FILE_TAG.test(line)) return { times, words: '' };
  const words = line
    .slice(at)
    .replace(WORD_TAG, (_, before: string, after: string) => (before || after ? ' ' : ''));
  return { times, words: words.trim() };
}

function tooLong(label: string, expected: string, received: number): GruError {
  return new GruError(
    'GRU_CORPUS',
    `${label}: expected at most ${expected} of timed lyrics, received ${received}`,
    'One .lrc file holds one song; save other texts as .txt.',
  );
}
