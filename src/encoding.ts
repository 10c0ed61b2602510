/**
 * The encodings of a text: which one its bytes are in, strictly, and the same text as UTF-8. Owns their names and the
 * order in which they are tried; UTF-8 itself, which is only checked, is utf8.ts's.
 *
 * A byte order mark decides, whatever was asked for: a text without that encoding does not begin with one. Else the
 * encoding that was asked for is the only one tried; with `auto`, UTF-8 and then GB18030.
 */

import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import { GruError } from './errors.js';
import { GrowingBytes } from './growing-bytes.js';
import { checkedUtf8, hasUtf8Mark, undecodable, validLength } from './utf8.js';

/** What may be asked for. `gbk` is read as GB18030, which holds all of it. */
export const ENCODINGS = ['auto', 'utf-8', 'utf-16le', 'utf-16be', 'gb18030', 'gbk', 'big5'] as const;

/**
 * An encoding as a user names it: `utf-8`, `utf-16le`, `utf-16be`, `gb18030`, `gbk` or `big5`; or `auto`, which is UTF-8
 * or else GB18030 where a text can be nothing else.
 *
 * @example
 * ```ts
 * import { type Encoding, loadCorpus } from 'gru-native';
 *
 * const encoding: Encoding = 'utf-8';
 * console.log((await loadCorpus('songs', { encoding })).reading.encoding); // utf-8
 * ```
 */
export type Encoding = (typeof ENCODINGS)[number];

/**
 * The encoding that a text turned out to be in.
 *
 * @example
 * ```ts
 * import { type FoundEncoding, loadCorpus } from 'gru-native';
 *
 * const found: readonly FoundEncoding[] = (await loadCorpus('songs')).encodings;
 * console.log(found); // [ 'utf-8' ]
 * ```
 */
export type FoundEncoding = Exclude<Encoding, 'auto' | 'gbk'>;

/** A text as UTF-8, without a byte order mark. */
export interface Decoded {
  encoding: FoundEncoding;
  /** Where the text was UTF-8 already, the very bytes that were given. */
  bytes: Uint8Array;
}

/** What decoding is told beside the bytes. */
export interface DecodeOptions {
  encoding: Encoding;
  /** What messages call the text. */
  label: string;
  /** Bytes that the text may have as UTF-8. */
  limit: number;
  /** What is thrown when it has more. */
  tooLarge: () => Error;
  signal?: AbortSignal | undefined;
}

/** Bytes decoded between two looks at the signal; the strings in between stay small. */
const CHUNK_BYTES = 1 << 18;
/** A text that begins with so many characters of UTF-8 beyond ASCII is a broken one of UTF-8, and no GB18030. */
const SURELY_UTF8 = 8;

/** How a text says its encoding. The marks of UTF-16 are two bytes. */
const WIDE_MARKS: readonly (readonly [FoundEncoding, number, number])[] = [
  ['utf-16le', 0xff, 0xfe],
  ['utf-16be', 0xfe, 0xff],
];

/** An encoding of one to four bytes a character. */
interface Multibyte {
  name: string;
  encoding: FoundEncoding;
  /** Bytes of the character that begins with `lead`, `next` being the byte after it. */
  width: (lead: number, next: number) => number;
  /** Characters that Node's decoder makes of bytes that stand for none. */
  refused: RegExp | undefined;
}

const GB18030: Multibyte = {
  name: 'GB18030',
  encoding: 'gb18030',
  width: (lead, next) => (lead <= 0x80 ? 1 : next >= 0x30 && next <= 0x39 ? 4 : 2),
  refused: undefined,
};
/** Text that is not GB18030 soon has a pair that GB18030 leaves to its users; texts of it have none. */
const DETECTED_GB18030: Multibyte = { ...GB18030, refused: /[\ue000-\uf8ff]/ };
const BIG5: Multibyte = {
  name: 'Big5',
  encoding: 'big5',
  width: (lead) => (lead < 0x80 ? 1 : 2),
  refused: /[\x80-\x9f\ue000-\uf8ff]/,
};

/**
 * Checks the name of an encoding.
 *
 * @param flag - what messages call the option
 * @throws GruError GRU_USAGE
 */
export function checkEncoding(value: unknown, flag: string): Encoding {
  if ((ENCODINGS as readonly unknown[]).includes(value)) return value as Encoding;
  const message = `${flag}: expected ${ENCODINGS.slice(0, -1).join(', ')} or ${ENCODINGS.at(-1)}, received ${JSON.stringify(value)}`;
  throw new GruError('GRU_USAGE', message, 'Other encodings: save the text as UTF-8 first, with iconv.');
}

/**
 * The text of some bytes as UTF-8. Every byte must be text: nothing is dropped or replaced.
 *
 * @param bytes - only read, but may be what is returned
 * @throws GruError GRU_CORPUS naming the offset of the first byte that is in no encoding that was tried
 */
export async function decodeToUtf8(bytes: Uint8Array, options: DecodeOptions): Promise<Decoded> {
  const { label, encoding } = options;
  const mark = WIDE_MARKS.find(([, first, second]) => bytes[0] === first && bytes[1] === second);
  if (mark !== undefined) return decodeWide(bytes, mark[0], 2, options);
  if (encoding === 'utf-16le' || encoding === 'utf-16be') {
    if (!hasUtf8Mark(bytes)) return decodeWide(bytes, encoding, 0, options);
  }
  if (encoding === 'utf-8' || hasUtf8Mark(bytes)) {
    return { encoding: 'utf-8', bytes: checkedUtf8(bytes, label) };
  }
  if (encoding === 'big5') return decodeMultibyte(bytes, BIG5, options);
  if (encoding !== 'auto') return decodeMultibyte(bytes, GB18030, options);
  refuseNul(bytes, label);
  if (isUtf8(bytes)) return { encoding: 'utf-8', bytes };
  return decodeUnmarked(bytes, options);
}

/** What is not UTF-8 and was given no name: GB18030, if it can be that. */
async function decodeUnmarked(bytes: Uint8Array, options: DecodeOptions): Promise<Decoded> {
  const at = validLength(bytes);
  if (beginsWithUtf8(bytes, at)) {
    throw undecodable(options.label, 'UTF-8', bytes, at, 'It begins as UTF-8, so it is cut off or damaged.');
  }
  try {
    if (!looksWestern(bytes)) return await decodeMultibyte(bytes, DETECTED_GB18030, options);
  } catch (thrown) {
    if (!(thrown instanceof NotInEncoding)) throw thrown;
  }
  throw undecodable(options.label, 'UTF-8 or GB18030', bytes, at, 'It is neither.');
}

/**
 * Whether most pairs end with an ASCII letter or sign: `für` in Latin-1 is a pair of GB18030 too. In Chinese few do, a
 * third where all characters are the rare ones.
 */
function looksWestern(bytes: Uint8Array): boolean {
  let pairs = 0;
  let western = 0;
  for (let at = 0; at < bytes.length; ) {
    const next = bytes[at + 1] ?? 0;
    const width = GB18030.width(bytes[at] as number, next);
    if (width === 2) {
      pairs++;
      if (next < 0x80) western++;
    }
    at += width;
  }
  return western > pairs / 2;
}

/** Whether the first `length` bytes, which are UTF-8, hold so much of it that this is no chance. */
function beginsWithUtf8(bytes: Uint8Array, length: number): boolean {
  let found = 0;
  for (let at = 0; at < length && found < SURELY_UTF8; at++) if ((bytes[at] as number) >= 0xc0) found++;
  return found === SURELY_UTF8;
}

/** English in UTF-16 is UTF-8 with a NUL between the letters; so are many files that are no text at all. */
function refuseNul(bytes: Uint8Array, label: string): void {
  const at = bytes.indexOf(0);
  if (at < 0) return;
  throw new GruError(
    'GRU_CORPUS',
    `${label}: expected a text, received a NUL at byte offset ${at}`,
    'If it is UTF-16 without a byte order mark, say --encoding utf-16le or utf-16be; else it is no text.',
  );
}

/** Bytes that are not in the encoding that they were read as. */
class NotInEncoding extends GruError {}

async function decodeMultibyte(bytes: Uint8Array, as: Multibyte, options: DecodeOptions): Promise<Decoded> {
  const { label, limit, tooLarge, signal } = options;
  const decoder = new TextDecoder(as.encoding, { fatal: true });
  const decode = (from: number, end: number): string | undefined => {
    try {
      const text = decoder.decode(bytes.subarray(from, end));
      return as.refused?.test(text) ? undefined : text;
    } catch {
      return undefined;
    }
  };
  const out = new GrowingBytes(Math.ceil(1.5 * bytes.length), limit, tooLarge);
  for (let at = 0; at < bytes.length; ) {
    const end = endOfCharacters(bytes, at, at + CHUNK_BYTES, as);
    const text = decode(at, end);
    if (text === undefined) {
      let wrong = at;
      // What is wrong begins less than two steps behind.
      for (let step = CHUNK_BYTES / 2; step >= 1; step /= 2) {
        const next = endOfCharacters(bytes, wrong, wrong + step, as);
        if (next < end && decode(wrong, next) !== undefined) wrong = next;
      }
      const { message, hint, code } = undecodable(
        label,
        as.name,
        bytes,
        wrong,
        'It is cut off or damaged, or in another encoding.',
      );
      throw new NotInEncoding(code, message, hint);
    }
    out.pushText(at === 0 && text.startsWith('\ufeff') ? text.slice(1) : text);
    at = end;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return { encoding: as.encoding, bytes: out.taken() };
}

/** The first offset from `least` on at which a character ends, `from` being where one begins. */
function endOfCharacters(bytes: Uint8Array, from: number, least: number, { width }: Multibyte): number {
  let at = from;
  while (at < least && at < bytes.length) at += width(bytes[at] as number, bytes[at + 1] ?? 0);
  return Math.min(at, bytes.length);
}

async function decodeWide(
  bytes: Uint8Array,
  encoding: FoundEncoding,
  markBytes: number,
  { label, limit, tooLarge, signal }: DecodeOptions,
): Promise<Decoded> {
  const name = encoding === 'utf-16le' ? 'UTF-16LE' : 'UTF-16BE';
  const hint = 'It is cut off or damaged, or in another encoding; save it as UTF-8.';
  const refuse = (expected: string, received: string) =>
    new GruError('GRU_CORPUS', `${label}: expected ${expected}, received ${received}`, hint);
  if (markBytes > 0 && encoding === 'utf-16le' && bytes[2] === 0 && bytes[3] === 0) {
    throw refuse('UTF-8, UTF-16 or GB18030', 'a NUL after the byte order mark, as in UTF-32');
  }
  if (bytes.length % 2 !== 0)
    throw refuse(`whole units of ${name}`, `an odd number of bytes, ${bytes.length}`);
  const out = new GrowingBytes(Math.ceil(1.5 * bytes.length), limit, tooLarge);
  for (let at = markBytes; at < bytes.length; ) {
    const block = Buffer.from(bytes.subarray(at, at + CHUNK_BYTES)); // a copy: its bytes may be swapped
    if (encoding === 'utf-16be') block.swap16();
    let text = block.toString('utf16le');
    const last = text.charCodeAt(text.length - 1);
    if (at + block.length < bytes.length && last >= 0xd800 && last < 0xdc00) text = text.slice(0, -1);
    const lone = text.search(/\p{Surrogate}/u);
    if (lone >= 0) {
      const unit = text.charCodeAt(lone).toString(16).toUpperCase();
      throw refuse(`whole characters in ${name}`, `half a pair U+${unit} at byte offset ${at + 2 * lone}`);
    }
    out.pushText(text);
    at += 2 * text.length;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return { encoding, bytes: out.taken() };
}
