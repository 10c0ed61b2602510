/** How wide text is on a terminal, where ideographs take two columns; and text that is cut to fit. */

import { eastAsianWidth } from 'get-east-asian-width';

/** Columns that a visible text takes; a combining mark takes none. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += widthOf(character);
  return columns;
}

/** The text, cut with … where it takes more than so many columns. */
export function cutToColumns(text: string, most: number): string {
  let columns = 0;
  let kept = '';
  let fits = ''; // what is left of the text where … must go behind it
  for (const character of text) {
    columns += widthOf(character);
    if (columns > most) return `${fits}…`;
    kept += character;
    if (columns < most) fits = kept;
  }
  return kept;
}

/** Columns of the terminal, or of a usual one. */
export function terminalColumns(): number {
  return process.stdout.columns || 80;
}

function widthOf(character: string): number {
  return /\p{M}/u.test(character) ? 0 : eastAsianWidth(character.codePointAt(0) ?? 0);
}
