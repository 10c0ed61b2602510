/** Names and characters from outside as messages show them: what would change a terminal or hide in it is escaped. */

/** At most this many are named in a message. */
const NAMED = 5;
/** Characters of a name that are shown. */
const LONGEST_NAME = 120;
/** UTF-16 units of a value that are quoted. */
const LONGEST_QUOTE = 80;
/** What would break a line, steer a terminal or turn the order of reading. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Surrogate}]/gu;

/** A name as it may be shown: in quotes, cut to 120 characters, control and direction characters escaped. */
export function displayName(name: string): string {
  const escaped = escapeText(name.slice(0, LONGEST_NAME + 1));
  return `"${escaped.length > LONGEST_NAME ? `${escaped.slice(0, LONGEST_NAME - 1)}…` : escaped}"`;
}

/** A character in quotes with its code point, so that blanks and look-alikes can be told apart. */
export function displayCharacter(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `"${escapeText(character)}" (U+${code})`;
}

/** The first five of some things, and how many more there are. */
export function firstOf<Item>(items: readonly Item[], show: (item: Item) => string): string {
  const more = items.length > NAMED ? ` and ${items.length - NAMED} more` : '';
  return items.slice(0, NAMED).map(show).join(', ') + more;
}

/** A text from a file as it may be shown: what would break a line or steer a terminal is escaped. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeSequence);
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

function escapeText(text: string): string {
  return text.replace(/["\\\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '"' || character === '\\' ? `\\${character}` : escapeSequence(character),
  );
}

function escapeSequence(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
