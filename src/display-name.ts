/** Text from files as it may be shown: nothing in it can steer a terminal or break a line. */

/** UTF-16 code units of a name that are shown. */
const MAX_NAME = 120;

/** The text with what is not visible escaped: control and direction characters, line separators. */
export function visible(text: string): string {
  return text.replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** A name in quotes, visible and cut to 120 characters. */
export function displayName(name: string): string {
  const escaped = visible(name.replace(/["\\]/g, '\\$&'));
  // The cut does not go through a surrogate pair: half of one would be shown as a replacement character.
  return `"${escaped.length > MAX_NAME ? `${escaped.slice(0, MAX_NAME - 1).replace(/[\ud800-\udbff]$/, '')}…` : escaped}"`;
}
