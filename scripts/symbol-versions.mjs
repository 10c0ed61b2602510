/** Which glibc a library of Linux needs, from the versions of the symbols that it imports. Needs binutils. */

import { execFileSync } from 'node:child_process';

/** The newest version asked for, such as `[2, 28]`; throws where `file` asks for none. */
export function newestGlibc(file) {
  const text = execFileSync('readelf', ['--version-info', '--wide', file], { encoding: 'utf8' });
  // The parts of a version compare as numbers: 2.4 is older than 2.28.
  const versions = [...text.matchAll(/Name: GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
    +major,
    +minor,
  ]);
  const newest = versions.sort(([a, b], [c, d]) => a - c || b - d).at(-1);
  if (newest === undefined) throw new Error(`expected versions of glibc's symbols in ${file}, received none`);
  return newest;
}
