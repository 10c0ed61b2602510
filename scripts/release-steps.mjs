/** The single steps of scripts/release-check.mjs. Each returns what was done and a detail for its row, or throws. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { armEmulator, nodeFor } from './foreign-nodes.mjs';
import { readMachO } from './mach-o.mjs';
import { addonName, GLIBC_FLOOR, packageJson, ROOT } from './release-targets.mjs';
import { newestGlibc } from './symbol-versions.mjs';
import { zigEnvironment } from './zig.mjs';

const FOLDER = join(ROOT, 'target', 'release-check');
const ADDONS = join(FOLDER, 'addons');
const PROJECT = join(FOLDER, 'project');
const ARM = 'aarch64-unknown-linux-gnu';
/** Bytes that an addon may have. */
const LARGEST = 6e6;
/** Small, but with every kind of step: several batches, a checkpoint, samples. */
const TRAINING = [
  ...[
    '--max-chars',
    '4000',
    '--batch-size',
    '8',
    '--num-steps',
    '20',
    '--hidden-size',
    '64',
    '--epochs',
    '6',
  ],
  ...['--report-every', '3', '--sample-length', '20', '--seed', '1', '--threads', '2', '--device', 'cpu'],
  ...['--offline', '--json'],
];

/** Runs a command to its end; returns what it wrote to stdout. Where it fails, all that it wrote is shown. */
function run(
  command,
  args,
  { cwd = ROOT, env = {}, name = `${command} ${args.slice(0, 4).join(' ')}` } = {},
) {
  const options = { cwd, env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 2 ** 28 };
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, options);
  if (status === 0) return stdout;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  const received = error?.message ?? signal ?? `exit code ${status}`;
  throw new Error(`expected ${name} to succeed, received ${received}`);
}

/** Has rustup install the standard libraries that are missing. */
export function addTargets(triples) {
  const installed = run('rustup', ['target', 'list', '--installed']).split('\n');
  const missing = triples.filter((triple) => !installed.includes(triple));
  if (missing.length === 0) return;
  try {
    run('rustup', ['target', 'add', ...missing]);
  } catch {
    throw new Error(
      `expected rustup to install Rust's library for ${missing.join(', ')}, received the error above: without a ` +
        'network, check with --only what is installed (rustup target list --installed)',
    );
  }
}

/** Compiles what is released and its tests for a target, without linking; a warning is an error. */
export function checkCode(triple) {
  const crates = ['gru-napi', 'gru-core', 'gru-cuda'].flatMap((name) => ['--package', name]);
  const args = ['check', '--quiet', '--locked', '--lib', '--tests', ...crates, '--target', triple];
  run('cargo', args, { env: { RUSTFLAGS: '-D warnings', CARGO_TARGET_DIR: join(FOLDER, 'checked') } });
  return { done: 'checked', detail: 'addon and tests, not linked' };
}

/** What is seen of a linked addon without loading it; throws where it asks for more than its platform has. */
function inspect(platform, path) {
  if (platform.endsWith('-gnu')) {
    const glibc = newestGlibc(path).join('.');
    if (glibc.localeCompare(GLIBC_FLOOR, 'en', { numeric: true }) > 0) {
      throw new Error(`expected glibc ${GLIBC_FLOOR} at most, received ${glibc}`);
    }
    return `needs glibc ${glibc}`;
  }
  if (!platform.startsWith('darwin')) return 'for musl';
  const { cpu, type, signed, libraries, undefined: open } = readMachO(readFileSync(path));
  const needed = [...libraries, ...open.map(({ library }) => library)];
  const wrong = needed.filter((library) => !library?.startsWith('/usr/lib/'));
  if (`darwin-${cpu}` !== platform || wrong.length > 0 || (cpu === 'arm64' && !signed)) {
    const received = `${cpu}, ${signed ? 'signed' : 'not signed'}, needs ${wrong.join(' ') || 'nothing else'}`;
    throw new Error(
      `expected a signed binary for ${platform} that needs only the system's libraries, received ${received}`,
    );
  }
  return `${type}, needs only libraries of the system`;
}

/** Builds the addon as it is released, or tries to: zig links for Linux and macOS. */
export function buildAddon({ triple, platform }) {
  const path = join(ADDONS, addonName(platform));
  mkdirSync(ADDONS, { recursive: true });
  rmSync(path, { force: true });
  run('npm', ['run', '--silent', 'build:rs', '--', '--target', triple, '--output-dir', ADDONS]);
  const { size } = statSync(path);
  if (size > LARGEST) throw new Error(`expected an addon of at most ${LARGEST} bytes, received ${size}`);
  return { done: 'linked', detail: `${(size / 1e6).toFixed(2)} MB, ${inspect(platform, path)}` };
}

/** The tests of gru-core for 64-bit Arm, linked as the addon is, under QEMU; test:paths has those that compare digests. */
export function testsOnArm() {
  const variable = `CARGO_TARGET_${ARM.toUpperCase().replaceAll('-', '_')}_RUNNER`;
  const env = { ...zigEnvironment(), [variable]: armEmulator().join(' '), RUST_BACKTRACE: '0' };
  const options = ['--locked', '--quiet', '--package', 'gru-core', '--lib', '--test', 'cpu'];
  // The portable path is the same Rust everywhere; the oracle at the chapter's sizes takes long under emulation.
  const filter = ['--skip=portable::', '--skip=at_the_chapters_sizes'];
  const target = ['--target', `${ARM}.${GLIBC_FLOOR}`];
  const output = run('cargo-zigbuild', ['test', ...options, ...target, '--', ...filter], { env });
  const passed = [...output.matchAll(/^test result: ok\. (\d+) passed/gm)].map(([, count]) => Number(count));
  if (passed.length !== 2) throw new Error(`expected two test binaries to pass, received ${passed.length}`);
  return { done: 'ran', detail: `${passed[0] + passed[1]} passed under QEMU` };
}

/** Packs what was linked, and unpacks it as an installed package: platform packages beside the package itself. */
export function packProject() {
  const tarballs = join(FOLDER, 'tarballs');
  for (const folder of [tarballs, PROJECT]) rmSync(folder, { recursive: true, force: true });
  run('npm', ['run', '--silent', 'build:ts']);
  run('npm', ['run', '--silent', 'pack:all', '--', tarballs, '--artifacts', ADDONS]);
  const names = readdirSync(tarballs);
  for (const name of names) {
    const folder = join(PROJECT, 'node_modules', name.replace(/-\d+\.\d+\.\d+.*\.tgz$/, ''));
    mkdirSync(folder, { recursive: true });
    run('tar', ['-xzf', join(tarballs, name), '-C', folder, '--strip-components=1']);
  }
  for (const name of Object.keys(packageJson().dependencies)) {
    cpSync(join(ROOT, 'node_modules', name), join(PROJECT, 'node_modules', name), { recursive: true });
  }
  return { done: 'packed', detail: `${names.length} packages` };
}

/**
 * Trains and generates from the packages on a platform's Node. Returns the model's digest and the text too, and throws
 * where they are not `expected`: the arithmetic is the same on every processor.
 */
export function train(platform, expected) {
  const command = nodeFor(platform);
  const name = `Node for ${platform}`;
  const node = (...args) => run(command[0], [...command.slice(1), ...args], { cwd: PROJECT, name });
  const main = join('node_modules', 'gru-native', 'dist', 'cli', 'main.js');
  rmSync(join(PROJECT, platform), { recursive: true, force: true });
  const events = node(main, 'train', ...TRAINING, '--out', platform)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { perplexity } = events.at(-1);
  const text = node(main, 'generate', platform, '--prefix', '分开', '--length', '20', '--device', 'cpu');
  const model = readFileSync(join(PROJECT, platform, 'model.safetensors'));
  const facts = { perplexity, text: text.trim(), model: createHash('sha256').update(model).digest('hex') };
  for (const [fact, value] of Object.entries(expected ?? {})) {
    if (facts[fact] !== value) {
      throw new Error(`expected ${fact} ${value}, as on the host, received ${facts[fact]}`);
    }
  }
  const version = node('--print', 'process.version').trim();
  const outcome = expected
    ? 'the same model and text as linux-x64-gnu'
    : `perplexity ${perplexity.toFixed(4)}`;
  return { done: 'ran', detail: `Node ${version}, ${outcome}`, facts };
}
