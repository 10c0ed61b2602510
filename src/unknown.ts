/** Characters that a model does not know: what may be done about them, and the record of what was done. */

import { displayCharacter, displayName, firstOf } from './display.js';
import { GruError } from './errors.js';

/** See {@link UnknownPolicy}. */
const POLICIES = ['error', 'skip', 'nearest'] as const;

/**
 * What is done about characters that a model does not know:
 *
 * - `error`, the default: nothing is read, and the error names them;
 * - `skip`: they are left out, and the text is read as if they were not there;
 * - `nearest`: the nearest character that the model knows is read instead: of the other width (`Ａ`, `A`), then
 *   another form of a Chinese character (學, 学), then of the other case (`A`, `a`). Where there is none, the error
 *   names the character.
 *
 * @example
 * ```ts
 * import { loadCorpus, train, type UnknownPolicy } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const unknown: UnknownPolicy = 'skip';
 * console.log(await model.generate(`${corpus.text.slice(0, 2)}😀`, { length: 10, unknown }));
 * model.dispose();
 * run.dispose();
 * ```
 */
export type UnknownPolicy = (typeof POLICIES)[number];

/**
 * A character that the model does not know, and what was read instead.
 *
 * @example
 * ```ts
 * import { loadCorpus, train, type UnknownCharacter } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const line = ({ character, position }: UnknownCharacter) => `${character} at position ${position}`;
 * await model.evaluate('我😀们', {
 *   unknown: 'skip',
 *   onUnknown: ({ unknown }) => console.log(unknown.map(line)), // [ '😀 at position 2' ]
 * });
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface UnknownCharacter {
  /** The character. */
  character: string;
  /** Its code point. */
  codePoint: number;
  /** How often it occurs in the text. */
  count: number;
  /** Where it occurs first: 1 is the text's first character (code point). */
  position: number;
  /** The character read instead; null where it was left out. */
  replacement: string | null;
}

/**
 * What was done about the unknown characters of a text.
 *
 * @example
 * ```ts
 * import { loadCorpus, train, type UnknownReport } from 'gru-native';
 *
 * const corpus = await loadCorpus('songs', { maxChars: 2000 });
 * const run = train({ corpus, epochs: 1, hiddenSize: 8 });
 * for await (const event of run) if (event.type === 'end') console.log(event.perplexity);
 * const model = await run.model();
 * const onUnknown = ({ skipped, characters }: UnknownReport) => console.log(`${skipped} of ${characters} left out`);
 * await model.evaluate(`${corpus.text}😀`, { unknown: 'skip', onUnknown });
 * model.dispose();
 * run.dispose();
 * ```
 */
export interface UnknownReport {
  /** Each of them once, in order of first appearance. */
  unknown: readonly UnknownCharacter[];
  /** Number of characters of the text, those left out included. */
  characters: number;
  /** Number of characters left out. */
  skipped: number;
  /** Number of characters for which another was read. */
  replaced: number;
}

/**
 * Checks a policy that came from outside.
 *
 * @param label - how the user knows the option, such as `--unknown`
 * @throws GruError GRU_USAGE
 */
export function checkUnknownPolicy(policy: unknown, label: string): asserts policy is UnknownPolicy {
  if (POLICIES.includes(policy as UnknownPolicy)) return;
  throw new GruError(
    'GRU_USAGE',
    `expected error, skip or nearest for ${label}, received ${typeof policy === 'string' ? displayName(policy) : String(policy)}`,
    'Unknown characters are an error, or skip leaves them out, or nearest reads the nearest known ones.',
  );
}

/** A character that the model knows. */
export interface Known {
  character: string;
  id: number;
}

/** Notes the unknown characters of one text as they are met. */
export class UnknownCharacters {
  readonly #noted = new Map<number, { record: UnknownCharacter; id: number | undefined }>();
  readonly #nearest: (character: string) => Known | undefined;

  /** @param nearest - what is read instead of a character, if anything */
  constructor(nearest: (character: string) => Known | undefined = () => undefined) {
    this.#nearest = nearest;
  }

  /** Notes one and returns the id that is read instead; undefined leaves it out. */
  note(codePoint: number, position: number): number | undefined {
    let noted = this.#noted.get(codePoint);
    if (noted === undefined) {
      const character = String.fromCodePoint(codePoint);
      const nearest = this.#nearest(character);
      const replacement = nearest?.character ?? null;
      noted = { record: { character, codePoint, count: 0, position, replacement }, id: nearest?.id };
      this.#noted.set(codePoint, noted);
    }
    noted.record.count += 1;
    return noted.id;
  }

  /** @param read - number of characters of the text that were read, replaced ones included */
  report(read: number): UnknownReport {
    const unknown = [...this.#noted.values()].map(({ record }) => record);
    const sum = (of: UnknownCharacter[]) => of.reduce((total, { count }) => total + count, 0);
    const skipped = sum(unknown.filter(({ replacement }) => replacement === null));
    return { unknown, characters: read + skipped, skipped, replaced: sum(unknown) - skipped };
  }
}

/**
 * The error that names unknown characters.
 *
 * @param label - what the text is: `the prefix`, a file's name
 * @param expected - what its characters should have been
 * @param suggest - a known character that may have been meant
 */
export function unknownError(
  unknown: readonly UnknownCharacter[],
  { label, expected, hint }: { label: string; expected: string; hint: string },
  suggest: (character: string) => string | undefined = () => undefined,
): GruError {
  const named = firstOf(unknown, ({ character, position }) => {
    const meant = suggest(character);
    const question = meant === undefined ? '' : ` (did you mean ${displayName(meant)}?)`;
    return `${displayCharacter(character)} at position ${position}${question}`;
  });
  return new GruError('GRU_VOCABULARY', `expected ${label} in ${expected}, received unknown ${named}`, hint);
}
