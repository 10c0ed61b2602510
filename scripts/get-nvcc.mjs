/**
 * npm run get-nvcc: installs the pinned CUDA compiler from the Python package index into a folder that git
 * ignores (about 270 MB). Only whoever changes a kernel needs it. Does nothing if it is there already.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALLED_NVCC, PACKAGES, TOOLKIT_FOLDER, versionProblem } from './nvcc.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, TOOLKIT_FOLDER);
/** Holds the pins of what is installed; written last, so that an interrupted install counts as none. */
const STAMP = join(FOLDER, 'pins.txt');

function pip(...args) {
  const env = { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_ROOT_USER_ACTION: 'ignore' };
  return spawnSync('python3', ['-m', 'pip', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env });
}

function install() {
  if (pip('--version').status !== 0) {
    throw new Error(
      'expected python3 with pip, received none: install both (Debian: apt install python3-pip)',
    );
  }
  rmSync(FOLDER, { recursive: true, force: true });
  const options = ['--quiet', '--no-deps', '--only-binary', ':all:', '--target', FOLDER];
  if (pip('install', ...options, ...PACKAGES).status !== 0) {
    throw new Error(
      'expected pip to install nvcc, received the error above: its packages are for Linux, and the package ' +
        'index must be reachable',
    );
  }
  const problem = versionProblem(join(ROOT, INSTALLED_NVCC));
  if (problem) throw new Error(problem);
}

const pins = `${PACKAGES.join('\n')}\n`;
try {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== pins) {
    install();
    writeFileSync(STAMP, pins);
  }
  console.log(`${INSTALLED_NVCC} is ${PACKAGES[0]}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
