/** Names and characters from outside as messages show them: what would change a terminal or hide in it is escaped. */

/** At most this many are named in a message. */
const NAMED = 5;
/** Characters of a name that are shown. */
const LONGEST_NAME = 120;
/** UTF-16 units of a value that are quoted. */
const LONGEST_QUOTE = 80;

/** A text with all escaped that would break a line, steer a terminal, turn the order of reading or not be seen. */
export function visible(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** A name as it may be shown: in quotes, cut to 120 characters, control and direction characters escaped. */
export function displayName(name: string): string {
  const escaped = visible(name.slice(0, LONGEST_NAME + 1).replace(/["\\]/g, '\\$&'));
  // The cut does not go through a surrogate pair: half of one would be shown as a replacement character.
  return `"${escaped.length > LONGEST_NAME ? `${escaped.slice(0, LONGEST_NAME - 1).replace(/[\ud800-\udbff]$/, '')}…` : escaped}"`;
}

/** A character in quotes with its code point, so that blanks and look-alikes can be told apart. */
export function displayCharacter(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `"${visible(character.replace(/["\\]/, '\\$&'))}" (U+${code})`;
}

/** The first five of some things, and how many more there are. */
export function firstOf<Item>(items: readonly Item[], show: (item: Item) => string): string {
  const more = items.length > NAMED ? ` and ${items.length - NAMED} more` : '';
  return items.slice(0, NAMED).map(show).join(', ') + more;
}

/** Any value as a message quotes it, as JSON where it can be and cut short; never throws. */
export function quote(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) return String(value);
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // nested too deep, or in a circle
  }
  text ??= 'an object';
  return text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
}
