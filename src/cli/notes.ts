/** Notes on stderr, beside the results. */

import { styleText } from 'node:util';
import { displayCharacter, displayName, firstOf } from '../display.js';
import type { UnknownCharacter, UnknownReport } from '../unknown.js';
import { grouped } from './live-line.js';

/** A note as a line, without its end. */
export function noteLine(text: string): string {
  return styleText('yellow', `note: ${text}`, { stream: process.stderr });
}

/**
 * Says what was done about the unknown characters of a text.
 *
 * @param label - what the text is: `the prefix "學"`, `the text`
 */
export function tellUnknown({ unknown }: UnknownReport, label: string): void {
  const replaced = unknown.filter(({ replacement }) => replacement !== null);
  const skipped = unknown.filter(({ replacement }) => replacement === null);
  const tell = (what: string, of: readonly UnknownCharacter[]) => {
    if (of.length > 0) process.stderr.write(`${noteLine(`${what} ${label}: ${firstOf(of, occurrence)}`)}\n`);
  };
  tell('replaced in', replaced);
  tell('left out of', skipped);
}

function occurrence({ character, count, position, replacement }: UnknownCharacter): string {
  const by = replacement === null ? '' : ` by ${displayName(replacement)}`;
  const place = `at position ${position}${count === 1 ? '' : ` (the first of ${grouped(count)})`}`;
  return `${displayCharacter(character)}${by} ${place}`;
}
