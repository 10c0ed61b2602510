/** Characters (code points) and their ids, in order of first appearance. Saved with every model. */

import { displayName, quote } from './display.js';
import { GruError } from './errors.js';
import { UnknownCharacters, unknownError } from './unknown.js';

const HINT = 'A vocabulary is a JSON array of characters in id order.';
/** Code units of a text looked at together. */
const BLOCK = 1 << 14;
/** Code points of Unicode. */
const CODE_POINTS = 0x110000;

/**
 * The two-way table of characters (code points) and their ids, saved with every model.
 *
 * @example
 * ```ts
 * import { Vocabulary } from 'gru-native';
 *
 * const vocabulary = Vocabulary.fromText('风吹过山');
 * const ids = vocabulary.encode('山风', 'the text'); // Uint32Array [3, 0]
 * console.log(vocabulary.size, vocabulary.decode(ids)); // 4 山风
 * ```
 */
export class Vocabulary {
  /** Characters in id order. */
  readonly characters: readonly string[];
  /** By code point: the id plus 1, or 0 where there is none; as long as the highest code point needs. */
  readonly #ids: Uint32Array;

  /**
   * @param characters - distinct single code points, in id order
   * @throws GruError GRU_VOCABULARY when they are not
   */
  constructor(characters: readonly string[]) {
    const highest = characters.reduce((code, character) => Math.max(code, codeOf(character)), -1);
    const ids = new Uint32Array(highest + 1);
    for (const [id, character] of characters.entries()) {
      const code = codeOf(character);
      if (code < 0 || ids[code] !== 0) {
        throw new GruError(
          'GRU_VOCABULARY',
          `expected distinct single characters in the vocabulary, received ${typeof character === 'string' ? displayName(character) : quote(character)} at id ${id}`,
          HINT,
        );
      }
      ids[code] = id + 1;
    }
    if (characters.length === 0) {
      throw new GruError('GRU_VOCABULARY', 'expected a vocabulary, received an empty one', HINT);
    }
    this.characters = characters;
    this.#ids = ids;
  }

  /** The vocabulary of a text, ids in order of first appearance. */
  static fromText(text: string): Vocabulary {
    const characters: string[] = [];
    const seen = new Uint8Array(CODE_POINTS);
    for (const units of blocksOf(text)) {
      for (let at = 0; at < units.length; at++) {
        let code = units[at] as number;
        if (isHighSurrogate(code)) {
          code = joined(code, units[at + 1]);
          if (code > 0xffff) at++;
        }
        if (seen[code] === 0) {
          seen[code] = 1;
          characters.push(String.fromCodePoint(code));
        }
      }
    }
    return new Vocabulary(characters);
  }

  /** Number of characters. */
  get size(): number {
    return this.characters.length;
  }

  /** Whether every character of the text has an id. */
  covers(text: string): boolean {
    for (const character of text) if (this.idOf(character) === undefined) return false;
    return true;
  }

  /** The id of a character, if it has one. */
  idOf(character: string): number | undefined {
    const code = codeOf(character);
    const entry = code < 0 ? 0 : (this.#ids[code] ?? 0);
    return entry === 0 ? undefined : entry - 1;
  }

  /**
   * The ids of a text's characters, `[code points of the text]`.
   *
   * @param label - what the text is, for the message: `the prefix`, a file's name
   * @throws GruError GRU_VOCABULARY naming the unknown characters with their positions, counted from 1
   */
  encode(text: string, label: string): Uint32Array {
    const characters = new UnknownCharacters();
    const ids = this.encodeWith(text, (code, position) => characters.note(code, position));
    const { unknown } = characters.report(ids.length);
    if (unknown.length === 0) return ids;
    throw unknownError(unknown, {
      label,
      expected: `the model's ${this.size} characters`,
      hint: 'The model can only read characters of the text it was trained on; use others, or train on a text that has them.',
    });
  }

  /**
   * The same where an unknown character is no error.
   *
   * @param unknown - told the code point of each, and its position, counted from 1; returns the id to read instead, or
   * undefined to leave it out
   */
  encodeWith(
    text: string,
    unknown: (codePoint: number, position: number) => number | undefined,
  ): Uint32Array {
    const table = this.#ids;
    const ids = new Uint32Array(text.length);
    let length = 0;
    let leftOut = 0;
    for (const units of blocksOf(text)) {
      for (let at = 0; at < units.length; at++) {
        let code = units[at] as number;
        if (isHighSurrogate(code)) {
          code = joined(code, units[at + 1]);
          if (code > 0xffff) at++;
        }
        const entry = code < table.length ? (table[code] as number) : 0;
        if (entry !== 0) {
          ids[length] = entry - 1;
          length += 1;
          continue;
        }
        const id = unknown(code, length + leftOut + 1);
        if (id === undefined) {
          leftOut += 1;
        } else {
          ids[length] = id;
          length += 1;
        }
      }
    }
    // What is cut off was never written, so it takes up no memory; a copy would.
    return ids.subarray(0, length);
  }

  /** The text of some ids; an id that no character has adds nothing. */
  decode(ids: Iterable<number>): string {
    let text = '';
    for (const id of ids) text += this.characters[id] ?? '';
    return text;
  }
}

/** The code point of a text of one character; -1 for anything else, half a surrogate pair among it. */
function codeOf(text: unknown): number {
  const code = typeof text === 'string' ? text.codePointAt(0) : undefined;
  if (code === undefined || (code >= 0xd800 && code <= 0xdfff)) return -1;
  return (text as string).length === (code > 0xffff ? 2 : 1) ? code : -1;
}

/**
 * The UTF-16 code units of a text, block by block: a loop over them is twice as fast as one over the string. No
 * block ends inside a surrogate pair; each is overwritten by the next.
 */
function* blocksOf(text: string): Generator<Uint16Array, void, void> {
  const units = new Uint16Array(Math.min(text.length, BLOCK));
  const bytes = Buffer.from(units.buffer);
  for (let at = 0; at < text.length; ) {
    let end = Math.min(at + BLOCK, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--;
    bytes.write(text.slice(at, end), 'utf16le');
    yield units.subarray(0, end - at);
    at = end;
  }
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

/** The code point of a high surrogate and the unit after it; the surrogate itself where they are no pair. */
function joined(high: number, next = 0): number {
  return (next & 0xfc00) === 0xdc00 ? 0x10000 + ((high & 0x3ff) << 10) + (next & 0x3ff) : high;
}
