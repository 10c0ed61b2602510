/** Which program installed this package, as far as its folders tell, and the commands that put an installation right. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Platform } from './platform.js';

/** Who installed the package; `checkout` where it lies in its own source. */
export type Installer = 'npm' | 'npm --global' | 'pnpm' | 'yarn' | 'yarn 1' | 'checkout';

/**
 * The installer of the package that a file belongs to.
 *
 * @param file - a file in src/ or dist/
 * @param pnp - whether Yarn's Plug'n'Play is at work
 */
export function findInstaller(
  file: string,
  pnp: boolean = process.versions.pnp !== undefined,
  exists: (path: string) => boolean = existsSync,
): Installer {
  if (/[\\/]\.pnpm[\\/]/.test(file)) return 'pnpm';
  if (pnp) return 'yarn';
  const modules = /^.*[\\/]node_modules(?=[\\/])/.exec(file)?.[0];
  if (modules === undefined) return exists(join(dirname(file), '..', 'Cargo.lock')) ? 'checkout' : 'npm';
  if (exists(join(modules, '.yarn-state.yml'))) return 'yarn';
  if (exists(join(modules, '.yarn-integrity'))) return 'yarn 1';
  return exists(join(modules, '..', 'package.json')) ? 'npm' : 'npm --global';
}

/** Installs what is missing, optional dependencies included; Yarn leaves out only what its settings name. */
export function completing(installer: Installer): string {
  const current = { os: ['current'], cpu: ['current'], libc: ['current'] };
  return {
    npm: 'npm install --include=optional gru-native',
    'npm --global': 'npm install --global --include=optional gru-native',
    pnpm: 'pnpm install',
    yarn: forArchitectures(current),
    'yarn 1': 'yarn install --force',
    checkout: 'npm run build:rs',
  }[installer];
}

/** Installs for a platform, on whatever machine it runs. */
export function installingFor({ os, cpu, libc }: Platform, installer: Installer): string {
  const flags = [`--os=${os}`, `--cpu=${cpu}`, ...(libc === undefined ? [] : [`--libc=${libc}`])].join(' ');
  const architectures = { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc] }) };
  return {
    npm: `npm install ${flags} gru-native`,
    'npm --global': `npm install --global ${flags} gru-native`,
    pnpm: `pnpm install ${flags}`,
    yarn: forArchitectures(architectures),
    'yarn 1': 'yarn install --force',
    checkout: 'npm run build:rs',
  }[installer];
}

function forArchitectures(architectures: object): string {
  return `yarn config set supportedArchitectures --json '${JSON.stringify(architectures)}' && yarn install`;
}

/** Installs one version of the package. */
export function installingVersion(version: string, installer: Installer): string {
  return {
    npm: `npm install gru-native@${version}`,
    'npm --global': `npm install --global gru-native@${version}`,
    pnpm: `pnpm add gru-native@${version}`,
    yarn: `yarn add gru-native@${version}`,
    'yarn 1': `yarn add gru-native@${version}`,
    checkout: 'npm run build:rs',
  }[installer];
}

/** What to remove of an installation that was made for another system: npm's lockfile may lack this one's package. */
export function installation(installer: Installer): string {
  return installer === 'npm' ? 'node_modules and package-lock.json' : 'node_modules';
}
