/**
 * Before the install tests: the packages are packed as they would be published, and a registry of this machine serves
 * them. GRU_NATIVE_TARBALLS names a folder of tarballs that are packed already.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startRegistry } from './registry.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Holds the tarballs of the package, of this machine's platform package and of what the package depends on. */
    tarballs: string;
    /** The registry's address. */
    registry: string;
  }
}

const ROOT = new URL('../../', import.meta.url).pathname;

/** package.json in `folder`. */
function manifest(folder: string): { name: string; version: string; dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

/**
 * Platform packages of the machines that this is not, without an addon: they show that a package manager leaves them
 * alone, and what happens where it took one of them.
 *
 * @returns their folders
 */
function otherPlatforms(folder: string, tarballs: string): string[] {
  mkdirSync(folder);
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const napi = join(ROOT, 'node_modules', '.bin', 'napi');
  execFileSync(napi, ['create-npm-dirs'], { cwd: folder, stdio: 'pipe' });
  const packed = readdirSync(tarballs);
  const places = readdirSync(join(folder, 'npm')).map((platform) => {
    const place = join(folder, 'npm', platform);
    writeFileSync(join(place, `gru-native.${platform}.node`), 'the addon of another system\n');
    return { place, tarball: `gru-native-${platform}-${manifest(place).version}.tgz` };
  });
  return places.filter(({ tarball }) => !packed.includes(tarball)).map(({ place }) => place);
}

export default async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'gru-native-install-'));
  const tarballs = join(folder, 'tarballs');
  mkdirSync(tarballs);
  const given = process.env.GRU_NATIVE_TARBALLS;
  if (given) cpSync(given, tarballs, { recursive: true });
  else
    execFileSync('npm', ['run', '--silent', 'pack:all', '--', tarballs], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  // What the package depends on, as npm installed it here and its registry has it.
  const dependencies = Object.keys(manifest(ROOT).dependencies).map((name) =>
    join(ROOT, 'node_modules', name),
  );
  const folders = [...dependencies, ...otherPlatforms(join(folder, 'others'), tarballs)];
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', tarballs, ...folders], {
    stdio: 'pipe',
  });
  const registry = await startRegistry(join(folder, 'registry'));
  for (const name of readdirSync(tarballs)) await registry.publish(join(tarballs, name));
  project.provide('tarballs', tarballs);
  project.provide('registry', registry.url);
  return () => {
    registry.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}
