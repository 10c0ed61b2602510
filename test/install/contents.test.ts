/** What is in the packages: no script that runs at installing, little, and nothing that an older system lacks. */

import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { newProject, type Project } from './project.js';

const scripts = new URL('../../scripts/', import.meta.url);
const { hostPlatform, GLIBC_FLOOR } = await import(new URL('release-targets.mjs', scripts).href);
const { newestGlibc } = await import(new URL('symbol-versions.mjs', scripts).href);

const MEGABYTE = 2 ** 20;
const PLATFORM = hostPlatform();
const ADDON = `gru-native-${PLATFORM}/gru-native.${PLATFORM}.node`;

/** Every file below a folder, relative to it. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (path) => !lstatSync(join(folder, path)).isDirectory(),
  );
}

describe('an installation', () => {
  let modules: string;
  beforeAll(() => {
    const project: Project = newProject({ removeAfter: afterAll });
    project.install();
    modules = join(project.folder, 'node_modules');
  });

  test('is the package, the addon of this platform, and what the command needs', () => {
    expect(
      readdirSync(modules)
        .filter((name) => !name.startsWith('.'))
        .sort(),
    ).toEqual(
      [
        'commander',
        'fflate',
        'get-east-asian-width',
        'gru-native',
        `gru-native-${PLATFORM}`,
        'picomatch',
      ].sort(),
    );
  });

  test('runs no script', () => {
    for (const name of readdirSync(modules).filter((entry) => !entry.startsWith('.'))) {
      const { scripts = {} } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8'));
      for (const hook of ['preinstall', 'install', 'postinstall'])
        expect(scripts, name).not.toHaveProperty(hook);
    }
    const ours = JSON.parse(readFileSync(join(modules, 'gru-native', 'package.json'), 'utf8'));
    expect(ours).not.toHaveProperty('scripts');
    expect(ours).not.toHaveProperty('devDependencies');
  });

  test('takes 12 MB at most, the addon 6 of them', () => {
    const bytes = files(modules).reduce((sum, path) => sum + lstatSync(join(modules, path)).size, 0);
    expect(bytes).toBeLessThan(12 * MEGABYTE);
    expect(lstatSync(join(modules, ADDON)).size).toBeLessThan(6 * MEGABYTE);
  });

  test('holds what is used and documented, and nothing of the tests', () => {
    const inside = files(join(modules, 'gru-native'));
    const outside = inside.filter((path) => !path.startsWith('dist/') && !path.startsWith('corpora/'));
    expect(outside.sort()).toEqual(
      [
        'CHANGELOG.md',
        'LICENSE',
        'LICENSE-Apache-2.0',
        'NOTICE',
        'README.md',
        'README.zh.md',
        'events.schema.json',
        'index.d.ts',
        'package.json',
      ].sort(),
    );
    expect(inside.filter((path) => path.startsWith('corpora/'))).toContain('corpora/songs.zh.txt');
    const strange = inside.filter((path) => path.startsWith('dist/') && !/\.(js|d\.ts)$/.test(path));
    expect(strange).toEqual([]);
    const bases = new Set(
      files(new URL('../../src', import.meta.url).pathname).map((path) => path.replace(/\.ts$/, '')),
    );
    const compiled = inside.filter((path) => path.startsWith('dist/')).map((path) => path.slice(5));
    expect(compiled.filter((path) => !bases.has(path.replace(/(\.d\.ts|\.js)$/, '')))).toEqual([]);
  });

  test('the addon says whose code is linked in', () => {
    const text = readFileSync(join(modules, `gru-native-${PLATFORM}`, 'THIRD-PARTY.md'), 'utf8');
    expect(text).toMatch(/^\| napi 3\.\S+ \| MIT \|/m);
    expect(text).toContain('Permission is hereby granted, free of charge');
    expect(text).not.toMatch(/\| gru-/);
  });

  test.runIf(PLATFORM.endsWith('-gnu'))('the addon runs on glibc 2.28', () => {
    const newest: [number, number] = newestGlibc(join(modules, ADDON));
    const [major, minor] = GLIBC_FLOOR.split('.').map(Number);
    expect(newest[0]).toBe(major);
    expect(newest[1]).toBeLessThanOrEqual(minor);
    const dynamic = execFileSync('readelf', ['--dynamic', join(modules, ADDON)], { encoding: 'utf8' });
    const libraries = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
    // No libgcc_s and no libstdc++, which small images lack.
    for (const name of libraries)
      expect(['libc.so.6', 'libm.so.6', 'libpthread.so.0', 'libdl.so.2', 'ld-linux-x86-64.so.2']).toContain(
        name,
      );
  });
});

test('every platform has a package that names its system, processor and C library', () => {
  const tarballs = inject('tarballs');
  const root = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const read = (tarball: string) =>
    JSON.parse(
      execFileSync('tar', ['xOf', join(tarballs, tarball), 'package/package.json'], { encoding: 'utf8' }),
    );
  const published = read(`gru-native-${root.version}.tgz`);
  const wanted: Record<string, [string, string, string?]> = {
    'linux-x64-gnu': ['linux', 'x64', 'glibc'],
    'linux-arm64-gnu': ['linux', 'arm64', 'glibc'],
    'linux-x64-musl': ['linux', 'x64', 'musl'],
    'linux-arm64-musl': ['linux', 'arm64', 'musl'],
    'win32-x64-msvc': ['win32', 'x64'],
    'darwin-x64': ['darwin', 'x64'],
    'darwin-arm64': ['darwin', 'arm64'],
  };
  const names = Object.keys(wanted).map((platform) => [`gru-native-${platform}`, root.version]);
  expect(published.optionalDependencies).toEqual(Object.fromEntries(names));
  expect(published.dependencies).toEqual(root.dependencies);
  for (const [platform, [os, cpu, libc]] of Object.entries(wanted)) {
    const { version, main, ...manifest } = read(`gru-native-${platform}-${root.version}.tgz`);
    expect([version, main]).toEqual([root.version, `gru-native.${platform}.node`]);
    expect([manifest.os, manifest.cpu, manifest.libc]).toEqual([[os], [cpu], libc && [libc]]);
  }
});
