/** Runs every check that is not a test: format, lint, types, and whether generated files are up to date. */

import { spawnSync } from 'node:child_process';

const CLIPPY = ['clippy', '--workspace', '--locked', '--quiet'];
const WARNINGS = ['--', '-D', 'warnings'];

const CHECKS = [
  ['Rust format', 'cargo', ['fmt', '--all', '--check']],
  ['Rust lint', 'cargo', [...CLIPPY, '--all-targets', ...WARNINGS]],
  // Which are no tests to cargo where they are not named.
  ['Rust lint of the tests for a GPU', 'cargo', [...CLIPPY, '--test', 'gpu', ...WARNINGS]],
  [
    'Rust documentation',
    'cargo',
    ['doc', '--workspace', '--no-deps', '--all-features', '--document-private-items', '--locked', '--quiet'],
    { RUSTDOCFLAGS: '-D warnings' },
  ],
  ['TypeScript format and lint', 'npx', ['biome', 'ci', '--colors=off', '.']],
  ['types', 'npx', ['tsc', '-p', 'tsconfig.json']],
  ['import arrows', 'npx', ['vitest', 'run', '--reporter=dot', 'test/architecture.test.ts']],
  ['kernels', 'node', ['scripts/check-kernels.mjs']],
  ['tiles of the CPU', 'node', ['scripts/check-tiles.mjs']],
  ['table of characters', 'npm', ['run', '--silent', 'build:variants']],
  ['build of the addon', 'npm', ['run', '--silent', 'build:rs']],
  ['API documentation', 'npm', ['run', '--silent', 'docs']],
  // Compared with what git holds: an earlier build may have written the files already.
  [
    'index.d.ts, the table and docs/api are what the builds generate',
    'git',
    ['diff', '--exit-code', '--', 'index.d.ts', 'src/variants.ts', 'docs/api'],
  ],
];

let failed = false;
for (const [name, command, args, env = {}] of CHECKS) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  console.log(`${status === 0 ? 'ok     ' : 'FAILED '} ${name}`);
  failed ||= status !== 0;
}
if (failed) console.error('A generated file that differs was written anew: add it to the commit.');
process.exitCode = failed ? 1 : 0;
