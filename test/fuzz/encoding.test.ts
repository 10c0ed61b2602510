/** Hostile bytes in any encoding, beside one TextDecoder for the whole of them and the rules of what is refused. */

import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { decodeToUtf8, ENCODINGS, type Encoding, type FoundEncoding } from '../../src/encoding.js';
import { GruError } from '../../src/errors.js';
import { decode, firstCharacters, normalise } from '../../src/utf8.js';
import { expectRefusal, fuzz } from './campaign.js';
import { edited, edits } from './edits.js';

/** Bytes that are decoded at a time. */
const CHUNK = 1 << 18;
const ascii = fc.constantFrom('a', ' ', '\n', '\r', '\r\n', '[', '9').map((text) => Buffer.from(text));

/** Characters of two bytes: any pair of a lead and a trail. */
function pair(lead: readonly [number, number], ...trails: (readonly [number, number])[]) {
  const trail = fc.oneof(...trails.map(([min, max]) => fc.integer({ min, max })));
  return fc.tuple(fc.integer({ min: lead[0], max: lead[1] }), trail).map((bytes) => Buffer.from(bytes));
}

/** Four bytes of GB18030 from its linear numbers: up to 39,419 the rest of the BMP, from 189,000 on what is above. */
const four = fc.oneof(fc.nat({ max: 39_500 }), fc.integer({ min: 188_900, max: 1_237_600 })).map((number) => {
  const digits = [
    Math.floor(number / 12_600),
    Math.floor(number / 1260) % 10,
    Math.floor(number / 10) % 126,
    number % 10,
  ];
  return Buffer.from(digits.map((digit, place) => digit + (place % 2 === 0 ? 0x81 : 0x30)));
});
const codePoint = fc.oneof(
  fc.constantFrom(0x61, 0x20, 0x0a, 0x0d, 0xe9, 0x301, 0xfeff, 0xfffd, 0xe000, 0xffff, 0x10000, 0x10ffff),
  fc.integer({ min: 0x4e00, max: 0x9fff }),
  fc.integer({ min: 0x1f300, max: 0x2ffff }),
);
const utf8 = codePoint.map((code) => Buffer.from(String.fromCodePoint(code)));
const utf16le = codePoint.map((code) => Buffer.from(String.fromCodePoint(code), 'utf16le'));
const utf16be = utf16le.map((bytes) => Buffer.from(bytes).swap16());

/** Each encoding's characters, what it may be asked for as, and how it marks itself. */
const FAMILIES: readonly { asked: readonly Encoding[]; mark: Buffer; character: fc.Arbitrary<Buffer> }[] = [
  {
    asked: ['auto', 'gb18030', 'gbk'],
    mark: Buffer.from('84319533', 'hex'),
    character: fc.oneof(
      { weight: 6, arbitrary: pair([0xb0, 0xd6], [0xa1, 0xfe]) },
      { weight: 2, arbitrary: pair([0x81, 0xa0], [0x40, 0x7e], [0x80, 0xfe]) },
      { weight: 2, arbitrary: four },
      { weight: 3, arbitrary: ascii },
    ),
  },
  {
    asked: ['big5'],
    mark: Buffer.alloc(0),
    character: fc.oneof(
      { weight: 6, arbitrary: pair([0xa4, 0xc5], [0x40, 0x7e], [0xa1, 0xfe]) },
      { weight: 2, arbitrary: pair([0xc9, 0xf8], [0x40, 0x7e], [0xa1, 0xfe]) },
      { weight: 3, arbitrary: ascii },
    ),
  },
  { asked: ['auto', 'utf-8'], mark: Buffer.from('efbbbf', 'hex'), character: utf8 },
  { asked: ['utf-16le'], mark: Buffer.from('fffe', 'hex'), character: utf16le },
  { asked: ['utf-16be'], mark: Buffer.from('feff', 'hex'), character: utf16be },
  // Latin-1, which nobody may ask for.
  { asked: ['auto'], mark: Buffer.alloc(0), character: fc.oneof(ascii, pair([0xe0, 0xff], [0x61, 0x7a])) },
];
const BROKEN = [
  ...['00', '80', 'ff', '8130', '813081', '84318130', 'e3329a36', 'fe39fe39', 'aaa1', 'a6d9', '8740', 'c6fc'],
  ...['00d8', 'd800', '00dc', 'dc00', 'c0', 'e5a4', 'fffe', 'feff', 'efbbbf', '84319533', '00000000'],
].map((digits) => Buffer.from(digits, 'hex'));
const stranger = fc.oneof(
  fc.constantFrom(...BROKEN),
  pair([0x81, 0xfe], [0x40, 0xfe]),
  ...FAMILIES.map(({ character }) => character),
);
const empty = fc.constant(Buffer.alloc(0));

/** Characters over and over, up to a length; where they are bytes of an odd number, `a` fills it up. */
function fillerOf(characters: readonly Buffer[], length: number): Buffer {
  const unit = Buffer.concat(characters);
  const whole = Buffer.concat(Array<Buffer>(Math.floor(length / unit.length)).fill(unit));
  const left = unit.length % 2 === 0 ? 0 : length - whole.length;
  return Buffer.concat([whole, Buffer.alloc(left, 'a')]);
}

const hostile = fc.oneof(
  ...FAMILIES.map(({ asked, mark, character }) =>
    fc
      .record({
        asked: fc.oneof(
          { weight: 5, arbitrary: fc.constantFrom(...asked) },
          { weight: 1, arbitrary: fc.constantFrom(...ENCODINGS) },
        ),
        mark: fc.oneof(
          { weight: 8, arbitrary: empty },
          { weight: 2, arbitrary: fc.constant(mark) },
          { weight: 1, arbitrary: fc.constantFrom(...FAMILIES.map((family) => family.mark)) },
        ),
        // Up to a few bytes before or after a border of chunks.
        filled: fc.oneof(
          { weight: 25, arbitrary: fc.constant(undefined) },
          {
            weight: 1,
            arbitrary: fc.record({
              unit: fc.array(character, { minLength: 1, maxLength: 3 }),
              short: fc.oneof(fc.constant(0), fc.integer({ min: -2, max: 40 })),
              next: fc.constantFrom(mark, mark, Buffer.alloc(0)),
            }),
          },
        ),
        parts: fc.array(fc.oneof({ weight: 250, arbitrary: character }, { weight: 1, arbitrary: stranger }), {
          maxLength: 40,
        }),
        changes: fc.oneof(
          { weight: 12, arbitrary: fc.constant([]) },
          { weight: 1, arbitrary: edits(BROKEN) },
        ),
        limited: fc.constantFrom('not', 'exactly', 'too much'),
        count: fc.nat({ max: 60 }),
      })
      .map(({ mark, filled, parts, changes, ...rest }) => {
        const filler = filled === undefined ? Buffer.alloc(0) : fillerOf(filled.unit, CHUNK - filled.short);
        const next = filled?.next ?? Buffer.alloc(0);
        const whole = Buffer.concat([mark, filler, next, ...parts]);
        return { ...rest, bytes: edited(whole, changes) };
      }),
  ),
);

/** The whole text in one go, or undefined where some of it is not in the encoding. `found`: nobody named it. */
function readAs(encoding: FoundEncoding, bytes: Uint8Array, found = false): string | undefined {
  let text: string;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
  const isPrivate = (code: number) => code >= 0xe000 && code <= 0xf8ff;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (encoding === 'big5' && (isPrivate(code) || (code > 0x7f && code < 0xa0))) return undefined;
    if (encoding === 'gb18030' && found && isPrivate(code)) return undefined;
  }
  return encoding === 'gb18030' && text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** Which encoding is read, by marks and then by name; undefined where it has to be found. */
function chosen(bytes: Uint8Array, asked: Encoding): FoundEncoding | undefined {
  const start = Buffer.from(bytes.subarray(0, 3)).toString('hex');
  if (start.startsWith('fffe')) return 'utf-16le';
  if (start.startsWith('feff')) return 'utf-16be';
  if (start === 'efbbbf') return 'utf-8';
  if (asked === 'auto') return undefined;
  return asked === 'gbk' ? 'gb18030' : asked;
}

/** What comes of the bytes, as the documents say. */
function plainReading(
  bytes: Uint8Array,
  asked: Encoding,
): { encoding: FoundEncoding; text: string } | undefined {
  const as = (encoding: FoundEncoding, found = false) => {
    const text = readAs(encoding, bytes, found);
    return text === undefined ? undefined : { encoding, text };
  };
  const encoding = chosen(bytes, asked);
  if (encoding === 'utf-16le' && Buffer.from(bytes.subarray(0, 4)).toString('hex') === 'fffe0000')
    return undefined;
  if (encoding !== undefined) return as(encoding);
  if (bytes.includes(0)) return undefined;
  const given = as('utf-8');
  if (given !== undefined) return given;
  const replaced = new TextDecoder().decode(bytes);
  const before = replaced.slice(0, replaced.indexOf('\ufffd')); // that character itself, if it is there, ends it early
  if ([...before].filter((character) => character > '\x7f').length >= 8) return undefined;
  const latin1 = Buffer.from(bytes).toString('latin1');
  const codes = latin1.match(/[\x81-\xff][0-9].{0,2}|[\x81-\xff].?|./gs) ?? [];
  const pairs = codes.filter((code) => code > '\x80' && !/^.[0-9]/.test(code));
  if (2 * pairs.filter((code) => (code[1] ?? '') < '\x80').length > pairs.length) return undefined;
  return as('gb18030', true);
}

/** Whether a refusal's message says where the first bad byte is. */
function saysWhere(message: string, bytes: Uint8Array, encoding: FoundEncoding): boolean {
  if (message.endsWith('as in UTF-32')) return bytes[2] === 0 && bytes[3] === 0;
  if (message.endsWith(`an odd number of bytes, ${bytes.length}`)) return bytes.length % 2 === 1;
  const at = Number(/ at byte offset (\d+)$/.exec(message)?.[1] ?? Number.NaN);
  if (message.includes('received a NUL at')) return bytes.indexOf(0) === at;
  const isText = (length: number) => readAs(encoding, bytes.subarray(0, length)) !== undefined;
  return isText(at) && ![1, 2, 3, 4].some((more) => at + more <= bytes.length && isText(at + more));
}

/** With what is expected of them, so that the measured time and memory are the package's own. */
const inputs = hostile.map((input) => {
  const expected = plainReading(input.bytes, input.asked);
  const characters = [...(expected?.text ?? '').replace(/\r\n|\r|\n/g, ' ')];
  const first = characters.slice(0, input.count).join('');
  return { ...input, expected, normal: { count: characters.length, text: characters.join(''), first } };
});

fuzz({
  name: 'encodings',
  inputs,
  bytes: ({ bytes }) => bytes,
  attack: async ({ bytes, asked, limited, count, expected, normal }) => {
    const before = Buffer.from(bytes);
    const length = Buffer.byteLength(expected?.text ?? '');
    const bound = { not: Number.POSITIVE_INFINITY, exactly: length, 'too much': length - 1 }[limited];
    const isBounded = expected !== undefined && expected.encoding !== 'utf-8' && length > 0;
    const limit = isBounded ? bound : Number.POSITIVE_INFINITY;
    const tooLarge = () => new GruError('GRU_CORPUS', 'too large', 'Use less.');
    const result = await decodeToUtf8(bytes, { encoding: asked, label: 'a.txt', limit, tooLarge }).catch(
      (thrown: unknown) => {
        const { message } = thrown as Error;
        const isRight =
          expected === undefined
            ? saysWhere(message, bytes, chosen(bytes, asked) ?? 'utf-8')
            : limit < length && message === 'too large';
        if (!isRight) throw thrown;
        return expectRefusal(thrown, 'GRU_CORPUS');
      },
    );
    if (!before.equals(bytes)) throw new Error('expected the bytes as they were, received changed ones');
    if (result === false) return false;
    const { encoding, bytes: made } = result;
    const { text } = expected ?? {};
    const isSame = isUtf8(made) && text !== undefined && Buffer.from(text).equals(made);
    if (!isSame || encoding !== expected?.encoding || limit < length) {
      throw new Error(`expected ${expected?.encoding}, received ${encoding} or another text`);
    }
    const normalised = normalise(new Uint8Array(made));
    const first = firstCharacters(normalised.bytes, Math.min(count, normal.count), normalised.characters);
    const isNormal = normalised.characters === normal.count && decode(normalised.bytes) === normal.text;
    if (!isNormal || decode(first) !== normal.first)
      throw new Error('expected newlines as spaces and the first characters, received another text');
    return true;
  },
  runs: 1500,
  allowed: { times: 16, beside: 2 ** 20 },
  accepted: [0.3, 0.9],
});
