/** What `corpus check` tells of a corpus: pure functions over its texts. Owns no reading and no printing. */

import type { CorpusText } from './corpus.js';
import { decode } from './utf8.js';

/** Distinct lines that are remembered; beyond them, lines are no longer compared. */
const MAX_LINES = 2_000_000;
/** Characters of a line that are told. */
const LINE_CHARACTERS = 40;
/** Lines that are told. */
const TOLD_LINES = 3;

/** How often each kind of line ends. */
export interface LineEndings {
  lf: number;
  crlf: number;
  /** Carriage returns alone. */
  cr: number;
}

/**
 * Adds the line endings of a text to those counted before.
 *
 * @param bytes - UTF-8, the whole text, so that no CRLF is cut
 */
export function countLineEndings(bytes: Uint8Array, counts: LineEndings): void {
  let before = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x0a) {
      if (before === 0x0d) counts.crlf++;
      else counts.lf++;
    } else if (before === 0x0d) counts.cr++;
    before = byte;
  }
  if (before === 0x0d) counts.cr++;
}

/** Lines that occur more than once. */
export interface RepeatedLines {
  /** Lines that are not blank. */
  lines: number;
  /** Of them, those that say what no line before them said. */
  distinct: number;
  /** Whether there were too many distinct lines to compare all. */
  truncated: boolean;
  /** The lines that occur most often, the first 40 characters of each. */
  most: { line: string; count: number }[];
}

/** The kinds of characters of a text. */
export interface CharacterKinds {
  kinds: number;
  /** Characters that occur once, in the order of the text. */
  singletons: string[];
  /** Ideographic spaces (U+3000) and full-width forms of ASCII (U+FF01 to U+FF5E), counted. */
  fullWidth: number;
  /** Characters that a text rarely means: controls, formats, private ones, U+FFFD; with their counts. */
  unusual: { character: string; count: number }[];
}

/** Counts the lines of some texts, without blanks around them. */
export function repeatedLines(texts: readonly Pick<CorpusText, 'bytes'>[]): RepeatedLines {
  const counts = new Map<string, number>();
  let lines = 0;
  let truncated = false;
  for (const { bytes } of texts) {
    const text = decode(bytes);
    for (const [match] of text.matchAll(/[^\r\n]+/g)) {
      const line = match.trim();
      if (line === '') continue;
      const count = counts.get(line);
      if (count === undefined && counts.size >= MAX_LINES) {
        truncated = true;
        continue;
      }
      lines++;
      counts.set(line, (count ?? 0) + 1);
    }
  }
  return { lines, distinct: counts.size, truncated, most: mostFrequent(counts) };
}

function mostFrequent(counts: ReadonlyMap<string, number>): RepeatedLines['most'] {
  const most: RepeatedLines['most'] = [];
  for (const [line, count] of counts) {
    if (count < 2 || (most.length === TOLD_LINES && count <= (most.at(-1)?.count ?? 0))) continue;
    most.push({ line, count });
    most.sort((a, b) => b.count - a.count); // stable: of equal ones the first in the text
    most.length = Math.min(most.length, TOLD_LINES);
  }
  return most.map(({ line, count }) => ({ line: beginning(line), count }));
}

function beginning(line: string): string {
  const characters = [...line.slice(0, 2 * LINE_CHARACTERS + 2)];
  return characters.length > LINE_CHARACTERS ? `${characters.slice(0, LINE_CHARACTERS - 1).join('')}…` : line;
}

/** Counts the characters of a text by their kinds. */
export function characterKinds(text: string): CharacterKinds {
  const counts = new Map<number, number>();
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at) as number;
    if (code > 0xffff) at++;
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  const found: CharacterKinds = { kinds: counts.size, singletons: [], fullWidth: 0, unusual: [] };
  for (const [code, count] of counts) {
    const character = String.fromCodePoint(code);
    if (count === 1) found.singletons.push(character);
    if (code === 0x3000 || (code >= 0xff01 && code <= 0xff5e)) found.fullWidth += count;
    // Not the joiners, of which emoji and some scripts are made.
    if (/[\p{C}\ufffd]/u.test(character) && !/[\t\u200c\u200d]/.test(character)) {
      found.unusual.push({ character, count });
    }
  }
  return found;
}

/** Trained parameters of a model as crates/gru-core counts them, without a recurrent candidate bias. */
export function parameterCount(vocabSize: number, hiddenSize: number): number {
  const gates = 3 * hiddenSize;
  return vocabSize * gates + hiddenSize * gates + gates + hiddenSize * vocabSize + vocabSize;
}
