/** Hostile bytes where text is expected, beside a plain reading of them by TextDecoder and string operations. */

import fc from 'fast-check';
import { checkedUtf8, decode, firstCharacters, normalise } from '../../src/utf8.js';
import { expectRefusal, fuzz } from './campaign.js';

/** Parts of texts: whole characters, characters that are none, line ends, marks, and bytes of any kind. */
const PARTS = [
  ...[
    'a',
    'é',
    '夜',
    '𠀀',
    '\r',
    '\n',
    '\r\n',
    '\n\r',
    '\u2028',
    '\ufeff',
    '\0',
    ' ',
    'abcdefgh',
    '春眠不觉晓',
  ].map((text) => Buffer.from(text)),
  ...[
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xff, 0xfe],
    [0xfe, 0xff],
    [0xe5],
    [0xf0, 0x9f],
    [0x80],
    [0xf8],
  ].map((bytes) => Buffer.from(bytes)),
];
const [VALID, BROKEN] = [PARTS.slice(0, 14), PARTS.slice(14)];
const part = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom(...VALID) },
  { weight: 1, arbitrary: fc.constantFrom(...BROKEN) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3 }) },
);
const text = fc.oneof(
  { weight: 9, arbitrary: fc.array(part, { maxLength: 40 }) },
  { weight: 1, arbitrary: fc.array(part, { maxLength: 2000, minLength: 100 }) },
);
const offset = fc.nat({ max: 3 });

/** Where the first broken character begins. */
function firstBroken(bytes: Uint8Array): number {
  const replaced = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const before = replaced.slice(0, replaced.indexOf('\ufffd'));
  if (!bytes.toString().includes('239,191,189')) return Buffer.byteLength(before);
  // The bytes have that character themselves: by trying every length.
  for (let length = bytes.length; length > 0; length--) {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
      return length;
    } catch {
      // one less
    }
  }
  return 0;
}

fuzz({
  name: 'UTF-8',
  inputs: fc.record({ parts: text, offset, count: fc.nat({ max: 60 }) }),
  bytes: ({ parts }) => Buffer.concat(parts),
  attack: ({ parts, offset, count }) => {
    const given = Buffer.concat([Buffer.alloc(offset), ...parts]);
    const bytes = new Uint8Array(given.length).fill(0x2d); // memory of its own, where it may lie anywhere
    bytes.set(given);
    const input = bytes.subarray(offset);
    let expected: string | undefined;
    try {
      expected = new TextDecoder('utf-8', { fatal: true }).decode(input); // without a byte order mark at its beginning
    } catch {
      expected = undefined;
    }
    let checked: Uint8Array;
    try {
      checked = checkedUtf8(input, 'a.txt');
    } catch (thrown) {
      const at = firstBroken(input);
      if (expected !== undefined || !(thrown as Error).message.endsWith(`at byte offset ${at}`)) {
        throw new Error(`expected byte ${at} to be named, received ${(thrown as Error).message}`);
      }
      return expectRefusal(thrown, 'GRU_CORPUS');
    }
    const normalised = normalise(checked);
    const whole = (expected ?? '').replace(/\r\n|\r|\n/g, ' ');
    const characters = [...whole];
    const cut = characters.slice(0, count).join('');
    const first = firstCharacters(
      normalised.bytes,
      Math.min(count, characters.length),
      normalised.characters,
    );
    const right =
      expected !== undefined &&
      normalised.characters === characters.length &&
      decode(normalised.bytes) === whole &&
      decode(first) === cut;
    if (!right)
      throw new Error(
        `expected ${JSON.stringify(whole)}, received ${JSON.stringify(decode(normalised.bytes))}`,
      );
    return true;
  },
  runs: 8000,
  allowed: { times: 64, beside: 2 ** 20 }, // most of it the plain reading's
  accepted: [0.3, 0.9],
});
