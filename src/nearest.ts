/**
 * What a character may be replaced by, the nearest first. Loaded only where an unknown character asks for it, with the
 * table of Chinese characters' forms.
 */

import { VARIANTS } from './variants.js';

/** Half-width katakana and its punctuation from U+FF61 on, each as its full-width form. */
const KATAKANA =
  '。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\u3099\u309a';

/**
 * The forms of other width, as Unicode has them (decompositions tagged wide and narrow): first code point of the form
 * that is marked as wide or narrow, first of the ordinary one, how many follow each other. One step only:
 * normalisation (NFKC) would go on, from ￣ to a blank and an accent, from Hangul letters to the parts of syllables.
 */
const WIDTHS: readonly (readonly [marked: number, ordinary: number, count: number])[] = [
  [0xff01, 0x21, 94], // ASCII
  [0x3000, 0x20, 1], // the blank
  [0xff5f, 0x2985, 2], // white parentheses
  ...[...KATAKANA].map((full, index) => [0xff61 + index, full.codePointAt(0) ?? 0, 1] as const),
  [0xffa0, 0x3164, 1], // Hangul's filler, then its letters
  [0xffa1, 0x3131, 30],
  [0xffc2, 0x314f, 6],
  [0xffca, 0x3155, 6],
  [0xffd2, 0x315b, 6],
  [0xffda, 0x3161, 3],
  [0xffe0, 0xa2, 2], // ¢ £
  [0xffe2, 0xac, 1], // ¬
  [0xffe3, 0xaf, 1], // ¯
  [0xffe4, 0xa6, 1], // ¦
  [0xffe5, 0xa5, 1], // ¥
  [0xffe6, 0x20a9, 1], // ₩
  [0xffe8, 0x2502, 1], // │
  [0xffe9, 0x2190, 4], // arrows
  [0xffed, 0x25a0, 1], // ■
  [0xffee, 0x25cb, 1], // ○
];

const OTHER_WIDTH = new Map(
  WIDTHS.flatMap(([marked, ordinary, count]) =>
    Array.from({ length: count }, (_, index) => [
      String.fromCodePoint(marked + index),
      String.fromCodePoint(ordinary + index),
    ]).flatMap(([a = '', b = '']): [string, string][] => [
      [a, b],
      [b, a],
    ]),
  ),
);

/** A Chinese character's other forms, joined. */
const FORMS = new Map(
  VARIANTS.trim()
    .split(/\s+/)
    .map((entry) => {
      const [character = ''] = entry;
      return [character, entry.slice(character.length)];
    }),
);

/**
 * The characters that may stand for another, in this order: the other width; other forms of a Chinese character, as
 * the table has them; the other case; the other case of the other width.
 */
export function nearestTo(character: string): string[] {
  const width = OTHER_WIDTH.get(character);
  return [
    ...(width === undefined ? [] : [width]),
    ...(FORMS.get(character) ?? ''),
    ...otherCases(character),
    ...(width === undefined ? [] : otherCases(width)),
  ];
}

/** The lower and the upper case, where they are other single characters. */
function otherCases(character: string): string[] {
  return [character.toLowerCase(), character.toUpperCase()].filter(
    (other) => other !== character && [...other].length === 1,
  );
}
