/** Where the tools of the install tests lie: package managers, Nodes, compilers, each in a pinned version. */

import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** node_modules of test/install/package.json, which npm run test:install has installed. */
export const TOOLS: string = fileURLToPath(new URL('./node_modules', import.meta.url));

/** The lines of Node that are supported, each with an executable. */
export const NODES: readonly { line: string; path: string }[] = ['20', '22', '24', '26'].map((line) => ({
  line,
  path: join(TOOLS, `node${line}`, 'bin', 'node'),
}));

/** The npm that runs these tests, as a script for any Node. */
export const NPM: string = resolve(
  execFileSync('npm', ['root', '--global'], { encoding: 'utf8' }).trim(),
  'npm/bin/npm-cli.js',
);

/** Package managers, as scripts for any Node. */
export const PNPM: string = join(TOOLS, 'pnpm', 'bin', 'pnpm.cjs');
export const YARN_CLASSIC: string = join(TOOLS, 'yarn', 'bin', 'yarn.js');
export const YARN: string = join(TOOLS, '@yarnpkg', 'cli-dist', 'bin', 'yarn.js');
