/** Names and characters from outside as messages show them: what would change a terminal or hide in it is escaped. */

/** At most this many are named in a message. */
const NAMED = 5;
/** Characters of a name that are shown. */
const LONGEST_NAME = 120;

/** A name as it may be shown: in quotes, cut to 120 characters, control and direction characters escaped. */
export function displayName(name: string): string {
  const escaped = escapeText(name);
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

function escapeText(text: string): string {
  return text.replace(/["\\\p{C}\p{Zl}\p{Zp}]/gu, (c) =>
    c === '"' || c === '\\' ? `\\${c}` : `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
