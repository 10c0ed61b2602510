/** Characters (code points) and their ids, in order of first appearance. Saved with every model. */

import { GruError } from './errors.js';

/** At most this many unknown characters are named in a message. */
const NAMED_UNKNOWNS = 5;

/** The two-way table of characters and ids. */
export class Vocabulary {
  /** Characters in id order. */
  readonly characters: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  /**
   * @param characters - distinct single code points, in id order
   * @throws GruError GRU_VOCABULARY when they are not
   */
  constructor(characters: readonly string[]) {
    const ids = new Map<string, number>();
    for (const [id, character] of characters.entries()) {
      if (typeof character !== 'string' || !isOneCharacter(character) || ids.has(character)) {
        throw new GruError(
          'GRU_VOCABULARY',
          `expected distinct single characters in the vocabulary, received ${JSON.stringify(character)} at id ${id}`,
          'A vocabulary is a JSON array of characters in id order.',
        );
      }
      ids.set(character, id);
    }
    if (ids.size === 0) throw new GruError('GRU_VOCABULARY', 'expected a vocabulary, received an empty one');
    this.characters = characters;
    this.#ids = ids;
  }

  /** The vocabulary of a text, ids in order of first appearance. */
  static fromText(text: string): Vocabulary {
    return new Vocabulary([...new Set(text)]);
  }

  /** Number of characters. */
  get size(): number {
    return this.characters.length;
  }

  /** Whether every character of the text has an id. */
  covers(text: string): boolean {
    for (const character of text) if (!this.#ids.has(character)) return false;
    return true;
  }

  /**
   * The ids of a text's characters.
   *
   * @param label - what the text is, for the message: `the prefix`, a file's name
   * @throws GruError GRU_VOCABULARY naming the unknown characters with their positions, counted from 1
   */
  encode(text: string, label: string): Uint32Array {
    const ids = new Uint32Array(text.length);
    let position = 0;
    for (const character of text) {
      const id = this.#ids.get(character);
      if (id === undefined) throw this.#unknown(text, label);
      ids[position] = id;
      position += 1;
    }
    return ids.slice(0, position);
  }

  /** The text of some ids. */
  decode(ids: Iterable<number>): string {
    let text = '';
    for (const id of ids) text += this.characters[id] ?? '';
    return text;
  }

  #unknown(text: string, label: string): GruError {
    const unknown = new Map<string, number>();
    let position = 0;
    for (const character of text) {
      position += 1;
      if (!this.#ids.has(character) && !unknown.has(character)) unknown.set(character, position);
    }
    const named = [...unknown]
      .slice(0, NAMED_UNKNOWNS)
      .map(([character, at]) => `${show(character)} at position ${at}`);
    const more = unknown.size > NAMED_UNKNOWNS ? ` and ${unknown.size - NAMED_UNKNOWNS} more` : '';
    return new GruError(
      'GRU_VOCABULARY',
      `expected ${label} in the model's ${this.size} characters, received unknown ${named.join(', ')}${more}`,
      'The model can only read characters of the text it was trained on; use others, or train on a text that has them.',
    );
  }
}

function isOneCharacter(text: string): boolean {
  const code = text.codePointAt(0);
  if (code === undefined || (code >= 0xd800 && code <= 0xdfff)) return false;
  return text.length === (code > 0xffff ? 2 : 1);
}

/** A character in quotes with its code point, so that blanks and look-alikes can be told apart. */
function show(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `"${character}" (U+${code})`;
}
