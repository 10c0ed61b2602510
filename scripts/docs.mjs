/**
 * npm run docs: writes docs/api from the comments in src/ and index.d.ts, and fails where an export, or a part of one, has
 * no documentation, where a link leads nowhere, or where an export has no example. The generator is a package of its own
 * in docs/api-generator, installed where it is not there yet.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const GENERATOR = fileURLToPath(new URL('../docs/api-generator/', import.meta.url));

/** @param {string} path */
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Whether what docs/api-generator/package.json names is installed in just that version. */
function isInstalled() {
  const { devDependencies } = json(join(GENERATOR, 'package.json'));
  try {
    return Object.entries(devDependencies).every(
      ([name, version]) => json(join(GENERATOR, 'node_modules', name, 'package.json')).version === version,
    );
  } catch {
    return false;
  }
}

/**
 * Runs a command in the generator's folder.
 *
 * @param {string} command
 * @param {string[]} args
 */
function run(command, ...args) {
  const { status, error } = spawnSync(command, args, {
    cwd: GENERATOR,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  if (status !== 0) process.exit(1);
}

/**
 * The comments of an export: its own, or those of its signatures.
 *
 * @param {any} reflection
 * @returns {any[]}
 */
const commentsOf = ({ comment, signatures = [] }) => [
  comment,
  ...signatures.map((/** @type {any} */ signature) => signature.comment),
];

if (!isInstalled()) run('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund');
const folder = mkdtempSync(join(tmpdir(), 'gru-native-docs-'));
const file = join(folder, 'api.json');
run('npx', 'typedoc', '--out', '../api', '--json', file);
const { children } = json(file);
rmSync(folder, { recursive: true });

const without = children.filter(
  (/** @type {any} */ reflection) =>
    !commentsOf(reflection).some((comment) =>
      comment?.blockTags?.some((/** @type {any} */ { tag }) => tag === '@example'),
    ),
);
for (const { name } of without)
  console.error(`expected an @example in the comment of ${name}, received none`);
if (without.length > 0) process.exitCode = 1;
else console.log(`docs/api: ${children.length} exports, each with an example`);
