/**
 * npm run test:paths -- [neon] [avx512] [--bochs PATH]: runs the CPU backend's tests on machines that this one need
 * not be: on 64-bit Arm under QEMU, and with AVX-512 in Bochs. Compares what ran, and the digest of a training run,
 * with the same tests on this machine. For developers on x86-64 Debian or Ubuntu; not part of npm test.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { armTools, getBochs, getPackages, ROOT, run, runInBochs } from './emulators.mjs';

const USAGE = `usage: npm run test:paths -- [neon] [avx512] [--bochs PATH]

  neon          only the path of 64-bit Arm, under QEMU
  avx512        only the path of AVX-512, in Bochs
  --bochs PATH  a Bochs of your own, without a window system (--with-nogui) and with AVX-512 (--enable-evex):
                2.8 or newer, since 2.7, which is Debian 12's, has no processor with AVX512_BF16

Needs Debian or Ubuntu on x86-64 (tried: Debian 12), git, make, g++, and for neon rustup target add
aarch64-unknown-linux-gnu. Downloads Debian packages and the source of Bochs 3.0 into .emulators/ at first.`;

const ARM = 'aarch64-unknown-linux-gnu';
const X86 = 'x86_64-unknown-linux-gnu';

/**
 * What each test binary is asked for. Left out is what takes long under emulation and shows nothing more: the
 * portable path, which is the same Rust everywhere, and the oracle at the chapter's sizes.
 */
const ARGUMENTS = {
  lib: ['--test-threads=1', '--show-output', 'cpu::'],
  cpu: ['--test-threads=1', '--show-output', '--skip=portable::', '--skip=at_the_chapters_sizes'],
};
const QUIET = { RUST_BACKTRACE: '0' };

/**
 * @typedef {{ path: string, args: string[] }} Program
 * @typedef {{ passed: Set<string>, failed: string[], ended: number, digests: Map<string, string>, text: string }} Result
 */

/** @param {string} target @param {string} name */
function cargoVariable(target, name) {
  return `CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_${name}`;
}

/**
 * Builds the test binaries for a target, linked statically.
 * @param {string} target
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Program[]}
 */
function build(target, environment = {}) {
  const libraries = run('rustc', ['--print=target-libdir', `--target=${target}`]).trim();
  if (!existsSync(libraries)) {
    throw new Error(`expected Rust's library for ${target}, received none: run rustup target add ${target}`);
  }
  console.log(`building the tests for ${target}`);
  const options = ['--locked', '--no-run', '--quiet', `--target=${target}`, '--message-format=json'];
  const lines = run('cargo', ['test', '-p=gru-core', '--lib', '--test=cpu', ...options], {
    env: {
      RUSTFLAGS: undefined,
      [cargoVariable(target, 'RUSTFLAGS')]: '-C target-feature=+crt-static',
      // Small binaries, as the machine in Bochs holds them in memory.
      CARGO_PROFILE_DEV_DEBUG: '0',
      CARGO_PROFILE_DEV_STRIP: 'symbols',
      ...environment,
    },
  });
  const built = lines
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter((message) => message.executable && message.profile.test);
  return Object.entries(ARGUMENTS).map(([name, args]) => {
    const path = built.find(({ target }) => (target.kind.includes('test') ? target.name : 'lib') === name);
    if (!path) throw new Error(`expected a test binary ${name} for ${target}, received none`);
    return { path: path.executable, args };
  });
}

/**
 * Reads what libtest printed.
 * @param {string} text of all binaries
 * @returns {Result}
 */
function parse(text) {
  const matches = (/** @type {RegExp} */ pattern) => [...text.matchAll(pattern)];
  return {
    passed: new Set(matches(/^test (\S+).* \.\.\. ok$/gm).map(([, name]) => name)),
    failed: matches(/^test (\S+).* \.\.\. FAILED$/gm).map(([, name]) => name),
    ended: matches(/^test result: ok\./gm).length,
    digests: new Map(
      matches(/^digest of (\S+): ([0-9a-f]{16})$/gm).map(([, name, digest]) => [name, digest]),
    ),
    text,
  };
}

/**
 * Runs the binaries here, perhaps under an emulator of the processor.
 * @param {Program[]} programs
 * @param {string[]} emulator
 */
function runHere(programs, emulator = []) {
  const output = programs.map(({ path, args }) => {
    const [command, ...all] = [...emulator, path, ...args];
    const options = { cwd: ROOT, encoding: 'utf8', env: { ...process.env, ...QUIET }, maxBuffer: 2 ** 28 };
    const { stdout, stderr, error } = spawnSync(command, all, options);
    return `${stdout}${stderr}${error?.message ?? ''}`;
  });
  return parse(output.join('\n'));
}

/**
 * What is wrong with a run, beside one that is right.
 * @param {string} path
 * @param {Result} result
 * @param {Result} [native]
 * @returns {string[]}
 */
function problems(path, result, native = result) {
  const found = result.failed.map((name) => `${path}: ${name} failed`);
  if (found.length === 0 && result.ended !== Object.keys(ARGUMENTS).length) {
    found.push(`${path}: a test binary did not come to its end`);
  }
  for (const name of native.passed) {
    if (!result.passed.has(name) && !result.failed.includes(name)) {
      found.push(`${path}: ${name} did not run, but does on this machine`);
    }
  }
  const expected = native.digests.values().next().value;
  const received = result.digests.get(path);
  if (received === undefined) found.push(`${path}: no digest, so the path did not run`);
  else if (received !== expected) found.push(`${path}: digest ${received}, but ${expected} on this machine`);
  if (found.length > 0) console.error(result.text);
  return found;
}

/** @param {string[]} paths @param {string | undefined} ownBochs */
function runPaths(paths, ownBochs) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`expected Linux on x86-64, received ${process.platform} on ${process.arch}`);
  }
  getPackages();
  const programs = build(X86);
  const native = runHere(programs);
  /** @type {Map<string, Result>} */
  const results = new Map([['avx2', native]]);
  if (paths.includes('neon')) {
    const { qemu, linker, env } = armTools();
    const arm = build(ARM, { ...env, [cargoVariable(ARM, 'LINKER')]: linker });
    console.log('running them under QEMU: a few minutes');
    results.set('neon', runHere(arm, [qemu]));
  }
  if (paths.includes('avx512')) {
    const bochs = ownBochs ? resolve(ownBochs) : getBochs();
    console.log('running them in Bochs: ten minutes or more');
    results.set('avx512', parse(runInBochs(bochs, programs)));
  }
  const found = [...results].flatMap(([path, result]) => problems(path, result, native));
  for (const problem of found) console.error(problem);
  for (const [path, { passed, digests }] of results) {
    console.log(`${path}: ${passed.size} passed, digest ${digests.get(path) ?? 'none'}`);
  }
  return found.length === 0;
}

try {
  const options = { bochs: { type: 'string' }, help: { type: 'boolean' } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const wrong = positionals.find((path) => !['neon', 'avx512'].includes(path));
  if (values.help) console.log(USAGE);
  else if (wrong) throw new Error(`expected neon or avx512, received ${wrong}\n${USAGE}`);
  else {
    const right = runPaths(positionals.length > 0 ? positionals : ['neon', 'avx512'], values.bochs);
    process.exitCode = right ? 0 : 1;
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
