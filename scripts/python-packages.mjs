/**
 * Pinned tools from the Python package index, each set in a folder of its own that git ignores: compilers that npm
 * and cargo do not carry.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function pip(...args) {
  const env = { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_ROOT_USER_ACTION: 'ignore' };
  return spawnSync('python3', ['-m', 'pip', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env });
}

/**
 * Installs exactly `pins`, such as `['ziglang==0.17.1']`, without what they depend on, for this machine or for another
 * `platform` as wheels name it. Does nothing if they are there already. Throws with what to do where pip or the index
 * cannot be had.
 */
export function installPins(folder, pins, platform) {
  // Holds the pins of what is installed; written last, so that an interrupted install counts as none.
  const stamp = join(folder, 'pins.txt');
  const wanted = `${pins.join('\n')}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (pip('--version').status !== 0) {
    throw new Error(
      'expected python3 with pip, received none: install both (Debian: apt install python3-pip)',
    );
  }
  rmSync(folder, { recursive: true, force: true });
  const options = ['--quiet', '--no-deps', '--only-binary', ':all:', '--target', folder];
  if (platform) options.push('--platform', platform);
  if (pip('install', ...options, ...pins).status !== 0) {
    throw new Error(
      `expected pip to install ${pins[0]}, received the error above: its packages are for Linux, and the package ` +
        'index must be reachable',
    );
  }
  writeFileSync(stamp, wanted);
}
