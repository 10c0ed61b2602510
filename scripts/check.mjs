/** Runs every check that is not a test: format, lint, types, and whether generated files are up to date. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const generated = new URL('../index.d.ts', import.meta.url);
const before = readFileSync(generated, 'utf8');

const CHECKS = [
  ['Rust format', 'cargo', ['fmt', '--all', '--check']],
  [
    'Rust lint',
    'cargo',
    ['clippy', '--workspace', '--all-targets', '--locked', '--quiet', '--', '-D', 'warnings'],
  ],
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
  ['build of the addon', 'npm', ['run', '--silent', 'build:rs']],
];

let failed = false;
for (const [name, command, args, env = {}] of CHECKS) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
  console.log(`${status === 0 ? 'ok     ' : 'FAILED '} ${name}`);
  failed ||= status !== 0;
}
const upToDate = readFileSync(generated, 'utf8') === before;
console.log(`${upToDate ? 'ok     ' : 'FAILED '} index.d.ts is what the build generates`);
if (!upToDate) console.error('index.d.ts was out of date and has been generated again: commit it.');
process.exitCode = failed || !upToDate ? 1 : 0;
