/**
 * Joins the files of dist/ into a few: Node reads a file in half a millisecond or more, and there are fifty. Only what is
 * published is joined; a checkout keeps one file a source.
 */

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rolldown } from 'rolldown';

/** What is imported or run by name; everything else may lie anywhere in dist/, at the depth of own-files.ts. */
const ENTRIES = ['index', 'cuda-probe', 'cli/main'];

/** The files that `file` imports at its start, and those that they import, with itself. */
function reachable(file, found = new Set()) {
  if (found.has(file)) return found;
  found.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export)\b[^;]*? from '(\.[^']+)';/gm);
  for (const [, path] of imports) reachable(join(dirname(file), path), found);
  return found;
}

/**
 * Replaces the JavaScript in `dist`; the declarations of types stay. One file for what both the library and every
 * command start with; one for the library as far as it needs no addon, since `doctor` must run where none loads; one for
 * the rest of the library; one for the command, which alone brings commander along. What is loaded late, such as a single
 * command, stays in a file of its own.
 */
export async function bundle(dist) {
  const start = reachable(join(dist, 'cli/main.js'));
  const library = reachable(join(dist, 'index.js'));
  const native = join(dist, 'native.js');
  const pure = (file) => !reachable(file).has(native);
  const groups = [
    { name: 'start', test: (file) => start.has(file) && library.has(file) },
    { name: 'library', test: (file) => library.has(file) && pure(file) },
    { name: 'network', test: (file) => library.has(file) },
    { name: 'command', test: (file) => start.has(file) },
  ];
  const entries = ENTRIES.map((entry) => [entry, join(dist, `${entry}.js`)]);
  const files = entries.map(([, file]) => file);
  // A group takes along what its files import, but for what a group of higher priority has.
  const own = ({ name, test }, index) => ({
    name,
    test: (file) => !files.includes(file) && test(file),
    priority: groups.length - index,
  });
  const build = await rolldown({
    input: Object.fromEntries(entries),
    cwd: dist, // comments name files as they are seen from there
    platform: 'node',
    // Dependencies stay what they are, and so do the addons.
    external: /^[a-z]/,
  });
  const { output } = await build.generate({
    format: 'esm',
    chunkFileNames: '[name]-[hash].js',
    codeSplitting: { groups: groups.map(own) },
  });
  for (const path of readdirSync(dist, { recursive: true })) {
    if (path.endsWith('.js')) rmSync(join(dist, path));
  }
  for (const { fileName, code } of output) writeFileSync(join(dist, fileName), code);
}
