/**
 * What npm version X runs once it has changed package.json: writes the version of the package.json in the current
 * directory to everything else that names it, and exits with 1 where one of them has no place for it.
 */

import { readFileSync, writeFileSync } from 'node:fs';

/** The files, and what stands before the version in each. */
const PLACES = [
  ['Cargo.toml', /(?<=^\[workspace\.package\]\nversion = ")[^"]+/m],
  ['Cargo.lock', /(?<=^name = "gru-[a-z-]+"\nversion = ")[^"]+/gm],
  ['src/package-version.ts', /(?<=^const VERSION = ')[^']+/m],
];

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const [file, place] of PLACES) {
  const text = readFileSync(file, 'utf8');
  if (text.search(place) < 0) {
    console.error(
      `expected ${file} to have a version at ${place}, received none: correct scripts/set-version.mjs`,
    );
    process.exit(1);
  }
  writeFileSync(file, text.replace(place, version));
}
