/**
 * npm run count-instructions: what a time step of each persistent kernel takes on a GPU of compute capability 9.0, as
 * instructions of a warp: assembles the PTX, disassembles it with NVIDIA's nvdisasm (from the Python package index) and
 * counts between the landmarks of the loop over the steps. docs/cuda.md makes an estimate of them. Needs npm run get-nvcc.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MODULES } from './kernels.mjs';
import { findNvcc } from './nvcc.mjs';
import { installPins } from './python-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.nvdisasm');
const PIN = 'nvidia-cuda-nvdisasm==13.2.51';
const TARGET = 'sm_90';

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`expected ${command} to end well, received ${error?.message ?? stderr}`);
  return stdout;
}

/** Instructions of each kernel in order, with the labels that lie before them. */
function kernelsOf(listing) {
  return listing
    .split(/^\s*\.section\s+\.text\./m)
    .slice(1)
    .map((text) => {
      const labels = new Map();
      const instructions = [];
      for (const line of text.split('\n')) {
        const label = /^\s*(\.L_\w+):/.exec(line)?.[1];
        if (label) labels.set(label, instructions.length);
        const [, name, operands] =
          /\/\*[0-9a-f]{4,}\*\/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(.*?);/.exec(line) ?? [];
        if (name) instructions.push({ name, target: /`\((\.L_\w+)\)/.exec(operands)?.[1] });
      }
      return { kernel: /^\w+/.exec(text)?.[0], labels, instructions };
    });
}

/** The largest loop that holds a barrier of the block: the one over the time steps. */
function loopOverSteps({ labels, instructions }) {
  let longest = [];
  instructions.forEach(({ name, target }, end) => {
    const start = labels.get(target) ?? end;
    const loop = instructions.slice(start, end + 1).map((instruction) => instruction.name);
    const holdsBarrier = loop.some((each) => each.startsWith('BAR'));
    if (name.startsWith('BRA') && start < end && holdsBarrier && loop.length > longest.length) longest = loop;
  });
  return longest;
}

/** Counts of a piece of the loop: all, and those that products and memory take. */
function counts(piece) {
  const of = (pattern) => piece.filter((name) => pattern.test(name)).length;
  return {
    all: piece.length,
    ffma: of(/^FFMA/),
    hmma: of(/^HMMA/),
    loadShared: of(/^LDS/),
    storeShared: of(/^STS/),
    shuffle: of(/^SHFL/),
    special: of(/^MUFU/),
    storeAsync: of(/^STAS/),
  };
}

function main() {
  const nvcc = findNvcc(ROOT);
  if (!nvcc) throw new Error('expected nvcc, received none: run npm run get-nvcc');
  installPins(FOLDER, [PIN]);
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-count-'));
  try {
    const rows = MODULES.filter(({ name }) => name.startsWith('cluster_')).flatMap(({ name, ptx }) => {
      const cubin = join(folder, `${name}.cubin`);
      run(join(dirname(nvcc), 'ptxas'), ['-arch', TARGET, join(ROOT, ptx), '-o', cubin]);
      const listing = run(join(FOLDER, 'nvidia/cu13/bin/nvdisasm'), ['-c', cubin]);
      return kernelsOf(listing).map((kernel) => {
        const loop = loopOverSteps(kernel);
        const lastBarrier = loop.findLastIndex((each) => each.startsWith('BAR'));
        const lastSend = loop.findLastIndex((each) => each.startsWith('STAS'));
        if (lastBarrier < 0 || lastSend < lastBarrier) {
          throw new Error(`expected ${kernel.kernel} to send behind a barrier in a loop, received none`);
        }
        return {
          kernel: kernel.kernel,
          toBarrier: counts(loop.slice(0, lastBarrier)),
          barrierToSend: counts(loop.slice(lastBarrier, lastSend + 1)),
          afterSend: counts(loop.slice(lastSend + 1)),
        };
      });
    });
    console.log(JSON.stringify({ target: TARGET, nvdisasm: PIN, kernels: rows }, null, 2));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

try {
  main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
