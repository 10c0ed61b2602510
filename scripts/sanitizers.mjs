/**
 * The Rust code under AddressSanitizer and ThreadSanitizer: what cargo needs to build with them, a copy of the project
 * whose addon is built so, and what is to be read in reports of races. rustc has the sanitizers for its nightly builds
 * only, which RUSTC_BOOTSTRAP makes of a stable one.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = 'x86_64-unknown-linux-gnu';

/** `--target`, so that procedural macros and build scripts, which run in rustc, are built without. */
const cargoOptions = (name) => ['--target', TARGET, '--target-dir', `target/${name}`];
const environment = (flags) => ({ RUSTC_BOOTSTRAP: '1', RUSTFLAGS: flags });

/** `asan` and `tsan` are for the tests that plant a fault, crates/gru-core/tests/sanitizers.rs. */
export const ASAN = { options: cargoOptions('asan'), env: environment('-Zsanitizer=address --cfg asan') };
/** The standard library is not built with it, which rustc wants to be told. */
export const TSAN = {
  options: cargoOptions('tsan'),
  env: environment('-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg tsan'),
};

/**
 * The reports of races between threads of the CPU backend. What is reported of std's channels and of cpu/turn.rs, a mutex
 * and a condition without any unsafe code, is not: where std itself takes a lock again, ThreadSanitizer does not see it.
 *
 * @param {string} text all reports
 * @returns {string[]}
 */
export function racesIn(text) {
  const reports = text.split(/^=+$/m).filter((report) => report.includes('WARNING: ThreadSanitizer'));
  return reports.filter((report) => {
    // The two accesses, without where the memory and the threads are from.
    const [accesses = ''] = report.split(/^ {2}(?:Location|Thread|As if)/m);
    const ours = /crates\/gru-core\/(?:src\/cpu\/(?!allocation_tests)|tests\/)/;
    return ours.test(accesses) && !accesses.includes('src/cpu/turn.rs');
  });
}

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
  const args = ['build', '--locked', '-p', 'gru-napi', ...ASAN.options, '--message-format=json'];
  const env = { ...process.env, ...ASAN.env };
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
