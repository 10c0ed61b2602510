/**
 * Records docs/session.json: what `npx gru-native train` and then `npx gru-native generate` write to a terminal, with the
 * seconds at which they write it. They run in an empty folder where the build of this checkout is installed, in a
 * pseudo-terminal made by util-linux's script; the corpus is the embedded one. Takes as long as the training:
 *
 *   node scripts/record-session.mjs && node scripts/draw-session.mjs
 */

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMMANDS = ['npx gru-native train', 'npx gru-native generate'];
const COLUMNS = 100;
const ROWS = 26;
/** Of the live line's redraws, one in so many seconds is kept: the picture is many times faster than the run. */
const BETWEEN_REDRAWS = 1.5;
/** A redraw of the live line and nothing else. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what the terminal receives
const REDRAW = /^\r\x1b\[2K[^\n]+$/;

/** @typedef {[seconds: number, text: string]} Chunk */

/**
 * @param {string} command
 * @param {string} directory
 * @returns {Promise<Chunk[]>}
 */
function record(command, directory) {
  const inside = `stty cols ${COLUMNS} rows ${ROWS}; exec ${command}`;
  const { CI: _, ...env } = process.env;
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', inside, '/dev/null'], {
    cwd: directory,
    env: { ...env, TERM: 'xterm-256color', CUDA_VISIBLE_DEVICES: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const begun = performance.now();
  /** @type {Chunk[]} */
  const chunks = [];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    chunks.push([Math.round(performance.now() - begun) / 1000, text]);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(chunks);
      else reject(new Error(`expected exit code 0 of ${command}, received ${code}: ${chunks.at(-1)?.[1]}`));
    });
  });
}

/**
 * Without the redraws that come soon after another; each wipes its line first, so none is missed.
 *
 * @param {Chunk[]} chunks
 */
function trimmed(chunks) {
  let drawn = Number.NEGATIVE_INFINITY;
  return chunks.filter(([seconds, text], index) => {
    if (!REDRAW.test(text)) return true;
    const next = chunks[index + 1];
    const last = next === undefined || !REDRAW.test(next[1]);
    if (!last && seconds - drawn < BETWEEN_REDRAWS) return false;
    drawn = seconds;
    return true;
  });
}

const directory = mkdtempSync(join(tmpdir(), 'gru-native-session-'));
try {
  mkdirSync(join(directory, 'node_modules/.bin'), { recursive: true });
  symlinkSync(ROOT, join(directory, 'node_modules/gru-native'));
  symlinkSync('../gru-native/dist/cli/main.js', join(directory, 'node_modules/.bin/gru-native'));
  chmodSync(join(ROOT, 'dist/cli/main.js'), 0o755); // as npm does where it installs a program
  const commands = [];
  for (const command of COMMANDS)
    commands.push({ command, chunks: trimmed(await record(command, directory)) });
  const lines = commands.map(({ command, chunks }) => {
    const all = chunks.map((chunk) => `  ${JSON.stringify(chunk)}`).join(',\n');
    return `{ "command": ${JSON.stringify(command)}, "chunks": [\n${all}\n] }`;
  });
  writeFileSync(
    join(ROOT, 'docs/session.json'),
    `{ "columns": ${COLUMNS}, "rows": ${ROWS}, "commands": [\n${lines.join(',\n')}\n] }\n`,
  );
} finally {
  rmSync(directory, { recursive: true });
}
