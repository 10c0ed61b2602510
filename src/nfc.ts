/** Unicode's composed form, NFC, of a text of any size: a part at a time, cut where nothing joins across. */

import { setImmediate } from 'node:timers/promises';
import { GruError } from './errors.js';
import { GrowingBytes } from './growing-bytes.js';
import { decode } from './utf8.js';

/** Bytes composed between two looks at the signal. */
const CHUNK_BYTES = 1 << 18;
/** Marks in a row; sorting them takes quadratic time. Texts have five at most, Unicode's safe streams 30. */
const MAX_MARKS = 1000;

/** What composing is told beside the bytes. */
export interface NfcOptions {
  /** What messages call the text. */
  label: string;
  /** Bytes that the result may have; any number unless given. */
  limit?: number;
  /** What is thrown when it has more. */
  tooLarge?: () => Error;
  signal?: AbortSignal | undefined;
}

/**
 * The NFC of a text: `e` and a combining acute become `é`. Never NFKC, which would also make one of full-width and
 * ordinary letters.
 *
 * @param bytes - valid UTF-8; only read, but returned where it is NFC already
 * @throws GruError GRU_CORPUS for more than 1,000 combining marks in a row
 */
export async function toNfc(bytes: Uint8Array, options: NfcOptions): Promise<Uint8Array> {
  const { label, limit = Number.POSITIVE_INFINITY, tooLarge = () => new RangeError(label), signal } = options;
  let out: GrowingBytes | undefined;
  for (let at = 0; at < bytes.length; ) {
    const end = endOfPart(bytes, at);
    const part = bytes.subarray(at, end);
    const text = decode(part);
    for (const [marks] of text.matchAll(/\p{M}+/gu)) {
      if (marks.length <= MAX_MARKS) continue;
      const count = [...marks].length;
      if (count > MAX_MARKS) throw tooManyMarks(label, count);
    }
    const composed = text.normalize('NFC');
    if (out === undefined && composed !== text) {
      out = new GrowingBytes(bytes.length, limit, tooLarge);
      out.push(bytes.subarray(0, at));
    }
    if (composed === text) out?.push(part);
    else out?.pushText(composed);
    at = end;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return out === undefined ? bytes : out.taken();
}

/** Where the part that begins at `from` may end. */
function endOfPart(bytes: Uint8Array, from: number): number {
  for (let size = CHUNK_BYTES; from + size < bytes.length; size *= 2) {
    const least = from + size / 2;
    for (let at = from + size; at > least; at--) if (standsAlone(bytes[at] as number)) return at;
  }
  return bytes.length;
}

/**
 * Whether the character that begins with this byte never joins with what is before it: ASCII, ideographs (U+5000 to
 * U+8FFF) and Hangul syllables (U+B000 to U+CFFF).
 */
function standsAlone(byte: number): boolean {
  return byte < 0x80 || (byte >= 0xe5 && byte <= 0xe8) || byte === 0xeb || byte === 0xec;
}

function tooManyMarks(label: string, received: number): GruError {
  return new GruError(
    'GRU_CORPUS',
    `${label}: expected at most ${MAX_MARKS} combining marks in a row, received ${received}`,
    'Leave out --nfc, or use another text.',
  );
}
