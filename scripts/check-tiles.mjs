/**
 * Fails where the compiler keeps sums of a CPU tile on the stack instead of in registers: an inner loop that touches
 * the stack is slower by a third, and no test of results would notice.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loopsOf } from './inner-loops.mjs';

/** Fewest inner loops that each function has: a loop for every number of rows, along K and across it. */
const EXPECTED = { 'avx2::tile': 12, 'avx2::row': 4, 'avx512::tile': 32, 'avx512::row': 4 };

if (process.arch !== 'x64') {
  console.log('not checked: the tiles are those of x86-64');
  process.exit(0);
}
const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}target/tiles`;
const command = [
  'rustc',
  '--release',
  '--locked',
  '--quiet',
  '-p',
  'gru-core',
  '--lib',
  '--target-dir',
  target,
];
const { status } = spawnSync('cargo', [...command, '--', '--emit', 'asm'], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(1);

const folder = `${target}/release/deps`;
const listings = readdirSync(folder).filter((name) => /^gru_core-.*\.s$/.test(name));
const written = (/** @type {string} */ name) => statSync(`${folder}/${name}`).mtimeMs;
const newest = listings.sort((a, b) => written(a) - written(b)).at(-1);
if (newest === undefined) throw new Error('expected a listing of gru-core, received none');
const listing = readFileSync(`${folder}/${newest}`, 'utf8');
let failed = false;
for (const [name, least] of Object.entries(EXPECTED)) {
  const loops = loopsOf(listing, name).filter((loop) => loop.multiplies);
  const faults = loops.filter((loop) => loop.stack.length > 0);
  console.log(`${name}: ${loops.length} inner loops, ${faults.length} with stack traffic`);
  for (const { stack } of faults) console.error(`  ${stack[0]} and ${stack.length - 1} more`);
  if (loops.length < least) console.error(`  expected at least ${least} loops`);
  failed ||= faults.length > 0 || loops.length < least;
}
process.exitCode = failed ? 1 : 0;
