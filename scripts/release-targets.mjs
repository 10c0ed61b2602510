/**
 * What is released: a package with one addon for each target of package.json's `napi.targets`, and how each is built.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the project. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The oldest glibc that a released addon runs on: that of Debian 10, RHEL 8, Ubuntu 20.04 and what came after. */
export const GLIBC_FLOOR = '2.28';

const PLATFORMS = { linux: 'linux', windows: 'win32', darwin: 'darwin' };
const ARCHITECTURES = { x86_64: 'x64', aarch64: 'arm64' };

/** `x86_64-unknown-linux-gnu` as the names of addons and platform packages spell it, `linux-x64-gnu`. */
export function platformOf(triple) {
  const [architecture, , system, abi] = triple.split('-');
  return [PLATFORMS[system], ARCHITECTURES[architecture], abi].filter(Boolean).join('-');
}

/** The file that `npm run build:rs` writes for a platform. */
export function addonName(platform) {
  return `gru-native.${platform}.node`;
}

/** package.json of the checkout. */
export function packageJson() {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
}

/** Every target: its Rust triple and its platform. */
export function releaseTargets() {
  return packageJson().napi.targets.map((triple) => ({ triple, platform: platformOf(triple) }));
}

/** The platform of the Node that runs this. */
export function hostPlatform() {
  const { platform, arch, report } = process;
  if (platform === 'win32') return `win32-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  report.excludeNetwork = true;
  const libc = report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'gnu';
  return `linux-${arch}-${libc}`;
}

/** The target of this machine; throws where none is released for it. */
export function hostTarget() {
  const host = hostPlatform();
  const target = releaseTargets().find(({ platform }) => platform === host);
  if (!target)
    throw new Error(`expected one of the platforms of package.json's napi.targets, received ${host}`);
  return target;
}
