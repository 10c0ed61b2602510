/**
 * The kernel modules: the table of what is compiled for which GPU, and every rule of it that needs no
 * compiler: hashes of the sources, the text of the PTX and of the manifest, the budget.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** The version of nvcc and ptxas that made the committed files; another one writes another text. */
export const NVCC_VERSION = '13.0.88';

export const MANIFEST = 'crates/gru-cuda/kernels/manifest.json';
export const BUDGET = 'crates/gru-cuda/kernels/budget.json';

/** The persistent kernels, each pair a module, by how their blocks exchange; crates/gru-cuda/src/recurrence.rs has them. */
const PAIRS = ['fp32_128', 'fp32_256', 'tf32_128', 'tf32_256', 'bf16_128', 'bf16_256', 'bf16_512'];
const EXCHANGES = [
  { exchange: 'cluster', architecture: '90', ptxVersion: '8.1', targets: ['sm_90', 'sm_100', 'sm_120'] },
  {
    exchange: 'words',
    architecture: '80',
    ptxVersion: '7.8',
    targets: ['sm_80', 'sm_86', 'sm_89', 'sm_90', 'sm_100', 'sm_120'],
  },
];

/** Modules of the product for every GPU: their names and sources. */
const PLAIN = { gru_sm80: 'module', products_tf32: 'products_tf32', products_bf16: 'products_bf16' };

/**
 * One row a module. `architecture` is the virtual GPU of the PTX, `ptxVersion` the oldest version of the PTX
 * language that holds its instructions, which decides the oldest driver that loads it: 7.8 is CUDA 11.8's,
 * 8.1 is CUDA 12.1's. `targets` are the GPUs it is assembled for as a proof; only the PTX is kept.
 */
export const MODULES = [
  ...Object.entries(PLAIN).map(([name, source]) => ({
    name,
    source: `crates/gru-cuda/kernels/${source}.cu`,
    ptx: `crates/gru-cuda/kernels/${name}.ptx`,
    architecture: '80',
    ptxVersion: '7.8',
    targets: ['sm_80', 'sm_86', 'sm_89', 'sm_90', 'sm_100', 'sm_120'],
  })),
  ...EXCHANGES.flatMap(({ exchange, ...target }) =>
    PAIRS.map((pair) => ({
      name: `${exchange}_${pair}`,
      source: `crates/gru-cuda/kernels/${exchange}_${pair}.cu`,
      ptx: `crates/gru-cuda/kernels/${exchange}_${pair}.ptx`,
      ...target,
    })),
  ),
  {
    // Not shipped: what examples/gpu_micro.rs measures.
    name: 'micro_sm90',
    source: 'crates/gru-cuda/kernels/micro/module.cu',
    ptx: 'crates/gru-cuda/kernels/micro/micro_sm90.ptx',
    architecture: '90',
    ptxVersion: '8.1',
    targets: ['sm_90', 'sm_100', 'sm_120'],
  },
  {
    // Not shipped: every instruction of device.cuh that the product does not use yet, so that what the emulator
    // is tested on assembles for the GPUs that have it.
    name: 'instructions_sm90',
    source: 'crates/gru-cuda-emulator/tests/kernels/instructions.cu',
    ptx: 'crates/gru-cuda-emulator/tests/kernels/instructions_sm90.ptx',
    architecture: '90',
    ptxVersion: '8.1',
    targets: ['sm_90', 'sm_100', 'sm_120'],
  },
];

export const PTXAS_FLAGS = ['-v', '-warn-spills', '-warn-lmem-usage', '-Werror'];

export function readJson(root, path) {
  if (!existsSync(join(root, path))) throw new Error(`expected the file ${path}, received nothing there`);
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

export function nvccFlags({ architecture }) {
  const compute = `compute_${architecture}`;
  const target = ['-gencode', `arch=${compute},code=${compute}`];
  return ['-ptx', '-std=c++17', '-O3', ...target, '-Werror', 'all-warnings'];
}

/** A source file and every .cu and .cuh it includes by a quoted path, sorted, relative to `root`. */
export function sourceFiles(root, source) {
  const found = new Set();
  const visit = (file, from) => {
    if (found.has(file)) return;
    if (!existsSync(join(root, file))) {
      throw new Error(`expected the file ${file}, which ${from} names, received nothing there`);
    }
    found.add(file);
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, name] of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*"([^"]+\.cuh?)"/gm)) {
      visit(posix.join(dirname(file), name), file);
    }
  };
  visit(source, 'the table of modules');
  return [...found].sort();
}

/**
 * The same PTX under an older version line. ptxas refuses it if an instruction is newer than that. The pragma
 * `used_bytes_mask`, which came with 8.3, is left out: it tells which bytes of a load nobody reads, and without
 * it a load is a plain load.
 */
export function lowerVersion(ptx, version) {
  const lines = ptx.match(/^\.version .*$/gm) ?? [];
  if (lines.length !== 1) throw new Error(`expected one .version line in the PTX, received ${lines.length}`);
  return ptx
    .replace(/^\.version .*$/m, `.version ${version}`)
    .replaceAll(/^\s*\.pragma "used_bytes_mask \w+";\n/gm, '');
}

/** Absolute paths in a PTX text, also in its strings, which PTX writes as lists of bytes. */
export function machinePaths(ptx) {
  const strings = [...ptx.matchAll(/\.b8 \S+ = \{([^}]*)\}/g)].map(([, bytes]) =>
    String.fromCharCode(...bytes.split(',').map(Number)),
  );
  return [ptx, ...strings].flatMap(
    (text) => text.match(/(?<![\w.])(?:\/[\w.+-]+){2,}|\b[A-Z]:\\[\w.\\-]*/g) ?? [],
  );
}

/** The files named by a dependency list in make's form. */
export function parseDependencies(list) {
  const names = list.replaceAll('\\\n', ' ').match(/(?:\\ |\S)+/g) ?? [];
  return names.slice(names.indexOf(':') + 1).map((name) => name.replaceAll('\\ ', ' '));
}

/** What each kernel needs, from the report of `ptxas -v`. Constant memory is reported up to sm_89 only. */
export function parseUsage(report) {
  const usage = {};
  const functions = report.split(/^ptxas info\s*: Function properties for /m).slice(1);
  for (const text of functions) {
    const name = text.slice(0, text.indexOf('\n')).trim();
    const registers = /Used (\d+) registers/.exec(text);
    const frame = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(text);
    if (!registers || !frame) {
      throw new Error(
        `expected registers and a stack frame for ${name}, received neither or one: is it not inlined?`,
      );
    }
    const constant = [...text.matchAll(/(\d+) bytes cmem\[/g)].map(([, bytes]) => Number(bytes));
    usage[name] = {
      registers: Number(registers[1]),
      sharedBytes: Number(/(\d+) bytes smem/.exec(text)?.[1] ?? 0),
      stackBytes: Number(frame[1]),
      spillStoreBytes: Number(frame[2]),
      spillLoadBytes: Number(frame[3]),
      ...(constant.length > 0 && { constantBytes: constant.reduce((sum, bytes) => sum + bytes) }),
    };
  }
  if (functions.length === 0) throw new Error('expected a kernel in the report of ptxas, received none');
  return usage;
}

/** What the manifest says of a module's sources, flags and PTX. */
function identityOf(root, module, ptx) {
  const files = sourceFiles(root, module.source);
  return {
    flags: { nvcc: nvccFlags(module).join(' '), ptxas: PTXAS_FLAGS.join(' ') },
    ptx: { file: module.ptx, sha256: sha256(ptx), version: module.ptxVersion },
    sources: Object.fromEntries(files.map((file) => [file, sha256(readFileSync(join(root, file)))])),
  };
}

/** A module's part of the manifest; `targets` is target, then kernel, then its usage. */
export function moduleEntry(root, module, ptx, targets) {
  return { ...identityOf(root, module, ptx), targets };
}

/** The manifest of modules by name: the same text on every machine. */
export function manifestText(modules) {
  return `${JSON.stringify(sorted({ modules, nvcc: NVCC_VERSION, ptxas: NVCC_VERSION }), null, 2)}\n`;
}

/** What in the tree no longer is what the manifest was made from; each problem a sentence. */
export function treeProblems(root, modules, manifest) {
  const problems = [];
  const compare = (what, expected, received) => {
    if (expected === received) return;
    problems.push(`${what}: expected ${expected} by the manifest, received ${received}`);
  };
  compare('nvcc', manifest.nvcc, NVCC_VERSION);
  compare('ptxas', manifest.ptxas, NVCC_VERSION);
  compare('modules', Object.keys(manifest.modules).sort().join(' '), names(modules));
  for (const module of modules.filter(({ name }) => manifest.modules[name])) {
    if (!existsSync(join(root, module.ptx))) {
      problems.push(`${module.ptx}: expected the file that the manifest lists, received nothing there`);
      continue;
    }
    const ptx = readFileSync(join(root, module.ptx), 'utf8');
    const entry = manifest.modules[module.name];
    const now = identityOf(root, module, ptx);
    for (const file of new Set([...Object.keys(entry.sources), ...Object.keys(now.sources)])) {
      compare(file, entry.sources[file], now.sources[file]);
    }
    compare(`flags of nvcc for ${module.name}`, entry.flags.nvcc, now.flags.nvcc);
    compare(`flags of ptxas for ${module.name}`, entry.flags.ptxas, now.flags.ptxas);
    compare(`PTX of ${module.name}`, entry.ptx.file, now.ptx.file);
    compare(module.ptx, entry.ptx.sha256, now.ptx.sha256);
    compare(`${module.ptx}, .version`, module.ptxVersion, /^\.version (\S+)$/m.exec(ptx)?.[1]);
    compare(`${module.ptx}, .target`, `sm_${module.architecture}`, /^\.target (\S+)$/m.exec(ptx)?.[1]);
    compare(
      `targets of ${module.name}`,
      Object.keys(entry.targets).sort().join(' '),
      module.targets.toSorted().join(' '),
    );
  }
  return problems;
}

/** Where the manifest exceeds the budget, has a kernel without one, or leaves a budget without a kernel. */
export function budgetProblems(manifest, budget) {
  const problems = [];
  for (const [name, { targets }] of Object.entries(manifest.modules)) {
    const kernels = new Set(Object.values(targets).flatMap((usage) => Object.keys(usage)));
    for (const kernel of new Set([...kernels, ...Object.keys(budget[name] ?? {})])) {
      const limit = budget[name]?.[kernel];
      if (!limit) problems.push(`${name}, ${kernel}: expected a budget, received none`);
      for (const [target, { [kernel]: usage }] of Object.entries(targets)) {
        if (!usage) problems.push(`${name}, ${kernel}: expected the kernel on ${target}, received none`);
        if (limit && usage) problems.push(...excess(`${name}, ${kernel}, ${target}`, limit, usage));
      }
    }
  }
  for (const name of Object.keys(budget).filter((module) => !manifest.modules[module])) {
    problems.push(`${name}: expected a module of this name for its budget, received none`);
  }
  return problems;
}

/** One kernel on one target against its limits. Nothing may live in local memory: it is far too slow. */
function excess(where, { registers, sharedBytes }, usage) {
  const limits = { registers, sharedBytes, stackBytes: 0, spillStoreBytes: 0, spillLoadBytes: 0 };
  return Object.entries(limits)
    .filter(([what, limit]) => !(usage[what] <= limit))
    .map(([what, limit]) => `${where}: expected at most ${limit} ${what}, received ${usage[what]}`);
}

function names(modules) {
  return modules
    .map(({ name }) => name)
    .sort()
    .join(' ');
}

function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

/** The same value with the keys of all its objects in order. */
function sorted(value) {
  if (typeof value !== 'object') return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}
