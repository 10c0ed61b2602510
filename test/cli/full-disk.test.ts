/** Disks that take no more, or nothing at all: what is told, and that the checkpoint before stays whole with nothing beside it. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folder, run } from './command.js';

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');
const TEXT = '春眠不觉晓 处处闻啼鸟 夜来风雨声 花落知多少 '.repeat(40);
/** About 76 kB of parameters. */
const OPTIONS = ['--hidden-size', '64', '--max-chars', '600', '--batch-size', '4', '--num-steps', '8'];

const unix = process.platform !== 'win32';
/** Whether a small disk can be had without being an administrator. */
const mounts =
  process.platform === 'linux' &&
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

/** Runs `gru-native ...args` in what a shell script makes of `"$@"`. */
function runWithin(cwd: string, script: string, args: string[], wrapper: string[] = []) {
  const command = [...wrapper, 'sh', '-c', script, 'sh', process.execPath, MAIN, ...args];
  return spawnSync(command[0] as string, command.slice(1), { cwd, encoding: 'utf8' });
}

test.skipIf(!unix)('a file that may not grow is GRU_IO; the old checkpoint stays', async () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'text.txt'), TEXT);
  expect(await run(cwd, 'train', 'text.txt', '--epochs', '1', ...OPTIONS)).toMatchObject({ code: 0 });
  const out = join(cwd, 'gru-model');
  const files = readdirSync(out).sort();
  const saved = () => ['trainer', 'model'].map((name) => readFileSync(join(out, `${name}.safetensors`)));
  const before = saved();
  // 32 or 64 kB, as the shell counts; Node makes a failed write of the signal.
  const resume = ['train', '--resume', '--out', 'gru-model', '--epochs', '2', '--json'];
  const result = runWithin(cwd, 'ulimit -f 64; exec "$@"', resume);
  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(/^error: expected to write .*trainer\.safetensors, received EFBIG: /m);
  expect(JSON.parse(result.stdout.trimEnd().split('\n').at(-1) as string)).toMatchObject({ code: 'GRU_IO' });
  expect(saved()).toEqual(before);
  expect(readdirSync(out).sort()).toEqual(files);
});

test.skipIf(!mounts)('a full disk is GRU_IO, says so, and is left without a temporary file', () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'text.txt'), TEXT);
  mkdirSync(join(cwd, 'out'));
  const script = 'mount -t tmpfs -o size=64k tmpfs out && { "$@"; code=$?; ls out; exit $code; }';
  const args = ['train', 'text.txt', '--out', 'out', '--epochs', '1', ...OPTIONS];
  const result = runWithin(cwd, script, args, ['unshare', '-rm']);
  expect(result.stderr).toMatch(
    /error: expected to write .*trainer\.safetensors, received ENOSPC: .*\n.*disk is full: free some room/,
  );
  expect(result.status).toBe(1);
  expect(result.stdout.trimEnd().split('\n').at(-1)).toBe('events.ndjson');
  expect(result.stdout).not.toContain('.tmp');
});

test.skipIf(!mounts)('a read-only file system is told before any training', () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'text.txt'), TEXT);
  mkdirSync(join(cwd, 'disk'));
  const script = 'mount -t tmpfs -o ro tmpfs disk && exec "$@"';
  const args = ['train', 'text.txt', '--out', 'disk/out', '--epochs', '1', ...OPTIONS];
  const result = runWithin(cwd, script, args, ['unshare', '-rm']);
  expect(result.stderr).toMatch(
    /^error: expected to write disk\/out, received EROFS: .*\n.*read-only: choose another directory with --out/m,
  );
  expect(result).toMatchObject({ status: 1, stdout: '' });
});
