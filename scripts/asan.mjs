/**
 * The Rust code under AddressSanitizer: what cargo needs to build with it, and a copy of the project whose addon is built
 * so. rustc has the sanitizer for its nightly builds only, which RUSTC_BOOTSTRAP makes of a stable one.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = 'x86_64-unknown-linux-gnu';

/** `--target`, so that procedural macros and build scripts, which run in rustc, are built without. */
export const ASAN_OPTIONS = ['--target', TARGET, '--target-dir', 'target/asan'];
/** `asan` is for the tests that plant a fault, crates/gru-core/tests/asan.rs. */
export const ASAN_ENVIRONMENT = {
  RUSTC_BOOTSTRAP: '1',
  RUSTFLAGS: '-Zsanitizer=address --cfg asan',
};

/**
 * Tests that use the addon in every way, but for those that measure times or memory: it is tens of times slower, and
 * keeps what was freed for a while.
 */
export const ASAN_FILES = ['network.test', 'network-arguments', 'exits', 'train.test', 'test/model.test'];

/** Milliseconds that a test may take there. */
export const ASAN_TIMEOUT = 120_000;

const ADDON = 'gru-native.linux-x64-gnu.node';

/** What the tests above read. */
const COPIED = [
  'src',
  'test',
  'bench',
  'dist',
  'corpora',
  'package.json',
  'index.d.ts',
  'events.schema.json',
];

/**
 * Builds the addon and puts it into a copy of the project, in a folder of its own.
 *
 * @returns {{ folder: string, env: Record<string, string> }} the copy, and the environment that Node needs there
 */
export function sanitizedCopy() {
  const args = ['build', '--locked', '-p', 'gru-napi', ...ASAN_OPTIONS, '--message-format=json'];
  const env = { ...process.env, ...ASAN_ENVIRONMENT };
  const { stdout } = spawnSync('cargo', args, {
    cwd: ROOT,
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  const addon = /"([^"]+libgru_napi\.so)"/.exec(stdout)?.[1];
  if (addon === undefined) throw new Error('expected cargo to build libgru_napi.so, received no such file');
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-asan-'));
  for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  copyFileSync(join(ROOT, 'vitest.config.ts'), join(folder, 'vitest.config.ts'));
  copyFileSync(addon, join(folder, ADDON));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  // Node itself is not built with the sanitizer, so its library must be there first; GCC's serves code of LLVM's too.
  const library = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim();
  // Without the library an addon that is built so does not load: this one is.
  const script = `require(${JSON.stringify(join(folder, ADDON))})`;
  const alone = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  if (alone.status === 0 || !alone.stderr.includes('undefined symbol: __asan_')) {
    throw new Error(
      `expected an addon that needs AddressSanitizer, received one that loads: ${alone.stderr}`,
    );
  }
  return { folder, env: { LD_PRELOAD: library, ASAN_OPTIONS: 'detect_leaks=0' } };
}
