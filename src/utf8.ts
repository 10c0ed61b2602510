/** UTF-8 in place: checked, newlines made spaces, counted, cut and decoded, at hundreds of megabytes a second. */

import { isAscii, isUtf8, transcode } from 'node:buffer';
import { GruError } from './errors.js';

/**
 * The bytes without a byte order mark, once they are known to be UTF-8.
 *
 * @param label - what the bytes are, for the message
 * @throws GruError GRU_CORPUS naming the first byte that is not, with its offset
 */
export function checkedUtf8(bytes: Uint8Array, label: string): Uint8Array {
  if (!isUtf8(bytes)) {
    throw undecodable(label, 'UTF-8', bytes, validLength(bytes), 'It is damaged, or in another encoding.');
  }
  return hasUtf8Mark(bytes) ? bytes.subarray(3) : bytes;
}

/** Whether the bytes begin with the byte order mark of UTF-8. */
export function hasUtf8Mark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** The error for bytes that are not in any encoding that was expected. */
export function undecodable(
  label: string,
  expected: string,
  bytes: Uint8Array,
  at: number,
  reason: string,
): GruError {
  const byte = `0x${(bytes[at] as number).toString(16).toUpperCase().padStart(2, '0')}`;
  return new GruError(
    'GRU_CORPUS',
    `${label}: expected ${expected}, received byte ${byte} at byte offset ${at}`,
    `${reason} Name its encoding with --encoding, or save it as UTF-8, for example: iconv -f BIG5 -t UTF-8 FILE > NEW`,
  );
}

/** Length of the longest prefix that is UTF-8 by itself: where the first broken character begins. */
export function validLength(bytes: Uint8Array): number {
  let at = 0;
  // Whole blocks first; a block may end inside a character, so up to three bytes are given back.
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    for (let end = at + size; end <= bytes.length; end = at + size) {
      let whole = end;
      while (whole > end - 4 && whole > at && !isUtf8(bytes.subarray(at, whole))) whole--;
      if (whole === at || whole === end - 4) break;
      at = whole;
    }
  }
  return at;
}

/**
 * Folds CRLF into one space and every other newline or carriage return into one, in place.
 *
 * @returns the part of the bytes that is left, and its code points
 */
export function normalise(bytes: Uint8Array): { bytes: Uint8Array; characters: number } {
  const carriageReturn = bytes.indexOf(0x0d);
  const plain = carriageReturn < 0 ? bytes.length : carriageReturn;
  const aligned = bytes.byteOffset % 4 === 0; // as it is but after a byte order mark
  const words = aligned ? new Int32Array(bytes.buffer, bytes.byteOffset, plain >> 2) : new Int32Array();
  let characters = normaliseWords(words);
  let length = words.byteLength;
  for (let at = length; at < bytes.length; at++) {
    let byte = bytes[at] as number;
    if (byte === 0x0d && bytes[at + 1] === 0x0a) at++;
    if (byte === 0x0d || byte === 0x0a) byte = 0x20;
    bytes[length++] = byte;
    if ((byte & 0xc0) !== 0x80) characters++; // every code point has one byte that does not continue another
  }
  return { bytes: bytes.subarray(0, length), characters };
}

/** The same for bytes without carriage returns, four at a time, which is several times as fast; returns the code points. */
function normaliseWords(words: Int32Array): number {
  const [ones, lows] = [0x01010101, 0x7f7f7f7f];
  let characters = 4 * words.length;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as number;
    const continuing = (word >>> 7) & ~(word >>> 6) & ones; // 1 in each byte 10xxxxxx
    characters -= Math.imul(continuing, ones) >>> 24; // the sum of the four
    const other = word ^ (0x0a * ones);
    const newlines = ~(((other & lows) + lows) | other | lows) >>> 7; // 1 in each byte that is 0 in other
    words[at] = word ^ Math.imul(newlines, 0x0a ^ 0x20);
  }
  return characters;
}

/** The first `count` code points of valid UTF-8 that has `characters` of them. */
export function firstCharacters(bytes: Uint8Array, count: number, characters: number): Uint8Array {
  if (count === characters) return bytes;
  let seen = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (((bytes[at] as number) & 0xc0) !== 0x80 && ++seen > count) return bytes.subarray(0, at);
  }
  return bytes;
}

/**
 * Valid UTF-8 as a string. Beyond ASCII it goes by way of UTF-16, three times as fast as V8's own decoder but with a
 * second copy; a text that is nearly all ASCII, twice as large in UTF-16, is left to V8.
 *
 * @param characters - code points, where they are known
 */
export function decode(utf8: Uint8Array, characters = 0): string {
  const bytes = Buffer.from(utf8.buffer, utf8.byteOffset, utf8.length);
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (bytes.length < 1.5 * characters) return bytes.toString('utf8');
  return transcode(bytes, 'utf8', 'utf16le').toString('utf16le');
}
