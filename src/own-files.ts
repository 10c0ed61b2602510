/**
 * Where the package finds its own files: beside this one, which lies at the same depth in src/, in dist/ and in the
 * bundle that is published. In a bundle that someone else made of it they are not there.
 */

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This file; a bundle in CommonJS format has no `import.meta.url`, and `node -e` a `__filename` that is none. */
export const OWN_CODE: string = import.meta.url === undefined ? __filename : fileURLToPath(import.meta.url);

/** A file of the package by its path from dist/, such as `../corpora/songs.zh.txt`. */
export function ownFile(path: string): string {
  return join(dirname(OWN_CODE), path);
}
