/**
 * The pinned CUDA compiler: where it is, what version it has, and how one kernel module is compiled with it.
 * The table of modules and everything that needs no compiler is in kernels.mjs.
 */

import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import {
  lowerVersion,
  machinePaths,
  manifestText,
  moduleEntry,
  NVCC_VERSION,
  nvccFlags,
  PTXAS_FLAGS,
  parseDependencies,
  parseUsage,
  sourceFiles,
} from './kernels.mjs';

/** The wheels of NVCC_VERSION. pip takes them without dependencies, since theirs carry no version. */
export const PACKAGES = [
  `nvidia-cuda-nvcc==${NVCC_VERSION}`,
  `nvidia-nvvm==${NVCC_VERSION}`,
  `nvidia-cuda-crt==${NVCC_VERSION}`,
  'nvidia-cuda-runtime==13.0.96',
  'nvidia-cuda-cccl==13.0.85',
];

/** Where get-nvcc installs, and the compiler in it; both relative to the root of the project. */
export const TOOLKIT_FOLDER = '.nvcc';
export const INSTALLED_NVCC = `${TOOLKIT_FOLDER}/nvidia/cu13/bin/nvcc`;

const execute = promisify(execFile);

/** The compiler that NVCC names, else the installed one, else undefined. */
export function findNvcc(root) {
  const named = process.env.NVCC;
  if (named && !existsSync(named)) {
    throw new Error(`expected the path of an nvcc in NVCC, received ${named}: correct it or unset it`);
  }
  const nvcc = resolve(named || join(root, INSTALLED_NVCC));
  return existsSync(nvcc) ? nvcc : undefined;
}

/** The version that nvcc or ptxas says it has, such as 13.0.88. */
export function toolVersion(tool) {
  const { stdout, error } = spawnSync(tool, ['--version'], { encoding: 'utf8' });
  if (error) throw new Error(`expected ${tool} to run, received ${error.code}: run npm run get-nvcc`);
  return /release [\d.]+, V([\d.]+)/.exec(stdout)?.[1] ?? 'no version';
}

/** What the compiler and its assembler have that is not the pinned version, as one sentence, or undefined. */
export function versionProblem(nvcc) {
  for (const tool of [nvcc, ptxasBeside(nvcc)]) {
    const version = toolVersion(tool);
    if (version !== NVCC_VERSION) {
      return `expected ${NVCC_VERSION} of ${tool}, received ${version}: unset NVCC and run npm run get-nvcc`;
    }
  }
  return undefined;
}

/**
 * How often a module is compiled where another text is wanted. nvcc writes kernels with many sums in a few texts that
 * differ in the order of registers. Which one depends on the folder that it believes it runs in, and on the headers of
 * the C++ compiler, and a little on chance still: the wanted text may come in another folder.
 */
const TRIES = 24;

/**
 * Compiles the modules of a table; returns the text of every generated file by its path below `root`. `wanted` gives
 * the text of a module, by its path, that is kept as soon as nvcc gives it.
 */
export async function buildKernels(root, modules, manifestPath, nvcc, wanted = () => undefined) {
  // Relative, and always the same: names of files are among what nvcc's text depends on.
  const folder = 'target/kernels';
  rmSync(join(root, folder), { recursive: true, force: true });
  mkdirSync(join(root, folder), { recursive: true });
  try {
    await runTool(root, 'cc', ['-shared', '-fPIC', '-o', preloaded(folder), 'scripts/same-everywhere.c']);
    const files = {};
    const entries = {};
    for (const module of modules) {
      const { ptx, targets } = await compile(root, module, nvcc, folder, wanted(module.ptx));
      files[module.ptx] = ptx;
      entries[module.name] = moduleEntry(root, module, ptx, targets);
    }
    files[manifestPath] = manifestText(entries);
    return files;
  } finally {
    rmSync(join(root, folder), { recursive: true });
  }
}

/** One module: nvcc's PTX at the promised version, and what each target needs for each of its kernels. */
async function compile(root, module, nvcc, folder, wanted) {
  const sources = sourceFiles(root, module.source);
  const raw = join(folder, `${module.name}.raw.ptx`);
  const list = join(folder, `${module.name}.d`);
  const machine = process.arch === 'x64' ? 'x86_64' : 'aarch64';
  const translate = async (tries) => {
    const place = `/gru-native${'/kernels'.repeat(tries)}`;
    const same = [
      '-i',
      'PATH=/usr/local/bin:/usr/bin:/bin',
      `PLACE=${place}`,
      `LD_PRELOAD=${preloaded(folder)}`,
    ];
    const command = ['setarch', machine, '-R', relative(root, nvcc), ...nvccFlags(module)];
    await runTool(root, 'env', [...same, ...command, '-MD', '-MF', list, module.source, '-o', raw]);
    return lowerVersion(readFileSync(join(root, raw), 'utf8'), module.ptxVersion);
  };
  let ptx = await translate(0);
  for (let tries = 1; wanted !== undefined && ptx !== wanted && tries < TRIES; tries++) {
    ptx = await translate(tries);
  }
  const unhashed = projectDependencies(root, list, nvcc).filter((file) => !sources.includes(file));
  if (unhashed.length > 0) {
    throw new Error(
      `expected ${module.source} to include only .cu and .cuh files of the project, by quoted relative ` +
        `paths, received ${unhashed.join(', ')}: the manifest would not notice a change there`,
    );
  }

  const paths = machinePaths(ptx);
  if (paths.length > 0) {
    throw new Error(`expected no path of this machine in ${module.ptx}, received ${paths.join(', ')}`);
  }
  const lowered = join(folder, `${module.name}.ptx`);
  writeFileSync(join(root, lowered), ptx);
  const usages = await Promise.all(
    module.targets.map(async (target) => {
      const output = join(folder, `${module.name}.${target}.cubin`);
      const args = [...PTXAS_FLAGS, '-arch', target, lowered, '-o', output];
      return [target, parseUsage(await runTool(root, ptxasBeside(nvcc), args))];
    }),
  );
  return { ptx, targets: Object.fromEntries(usages) };
}

/** What nvcc runs with: scripts/same-everywhere.c, compiled. */
const preloaded = (folder) => join(folder, 'same-everywhere.so');

/** Runs a tool from the root, so that it sees relative paths only; returns what it wrote to stderr. */
async function runTool(root, tool, args) {
  try {
    const { stderr } = await execute(tool, args, { cwd: root, maxBuffer: 2 ** 26 });
    return stderr;
  } catch (error) {
    throw new Error(`${[tool, ...args].join(' ')}\n${error.stderr || error.message}`);
  }
}

/** The files of the project, without the toolkit's, that the compiler read. */
function projectDependencies(root, list, nvcc) {
  const toolkit = resolve(dirname(nvcc), '..');
  return parseDependencies(readFileSync(join(root, list), 'utf8'))
    .map((file) => resolve(root, file))
    .filter((file) => relative(toolkit, file).startsWith('..') && !relative(root, file).startsWith('..'))
    .map((file) => relative(root, file));
}

function ptxasBeside(nvcc) {
  return join(dirname(nvcc), 'ptxas');
}
