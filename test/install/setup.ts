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

/** Packs a package that npm installed for this project, as the registry of npm has it. */
function packDependency(name: string, tarballs: string): void {
  const folder = join(ROOT, 'node_modules', name);
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', tarballs, folder], {
    stdio: 'pipe',
  });
}

/**
 * Platform packages of the machines that this is not, without an addon: they show that a package manager leaves them
 * alone, and what happens where it took one of them.
 */
function packOtherPlatforms(folder: string, tarballs: string): void {
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const napi = join(ROOT, 'node_modules', '.bin', 'napi');
  execFileSync(napi, ['create-npm-dirs'], { cwd: folder, stdio: 'pipe' });
  const packed = readdirSync(tarballs);
  for (const platform of readdirSync(join(folder, 'npm'))) {
    const place = join(folder, 'npm', platform);
    if (packed.includes(`gru-native-${platform}-${manifest(place).version}.tgz`)) continue;
    writeFileSync(join(place, `gru-native.${platform}.node`), 'the addon of another system\n');
    execFileSync('npm', ['pack', '--pack-destination', tarballs, place], { stdio: 'pipe' });
  }
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
  for (const name of Object.keys(manifest(ROOT).dependencies)) packDependency(name, tarballs);
  mkdirSync(join(folder, 'others'));
  packOtherPlatforms(join(folder, 'others'), tarballs);
  const registry = await startRegistry(join(folder, 'registry'));
  for (const name of readdirSync(tarballs)) registry.publish(join(tarballs, name));
  project.provide('tarballs', tarballs);
  project.provide('registry', registry.url);
  return () => {
    registry.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}
