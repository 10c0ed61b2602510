/**
 * Which addon is loaded, and what a user sees where there is none or it may not serve: each case in a process of its own
 * on an installation in a temporary folder, on a Node that takes itself for one on another system where need be.
 */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileFault } from '../src/addon-file.js';
import { findInstaller } from '../src/installer.js';
import { addonPath, SUPPORTED_PLATFORMS } from '../src/native.js';
import { currentPlatform, platformName, platformOf } from '../src/platform.js';
import { folder, start } from './cli/command.js';
import { ALPINE, HEAD, install, LINUX, refusal } from './mini-install.js';
import { addonBytes } from './patched-addon.js';

const ROOT = resolve(import.meta.dirname, '..');
const HERE = platformName(currentPlatform());
const VERSION = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;

test('the platforms of the loader are those of package.json', () => {
  const { napi } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const CPUS: Record<string, string> = { x86_64: 'x64', aarch64: 'arm64' };
  const names = (napi.targets as string[]).map((triple) => {
    const [cpu = '', vendor, system, abi] = triple.split('-');
    const os = { apple: 'darwin', pc: 'win32' }[vendor as string] ?? system;
    return [os, CPUS[cpu], ...(abi === undefined ? [] : [abi])].join('-');
  });
  expect(SUPPORTED_PLATFORMS.toSorted()).toEqual(names.toSorted());
  for (const name of names) expect(platformName(platformOf(name))).toBe(name);
  // Bundlers and tracers of files see literal calls only.
  const source = readFileSync(join(ROOT, 'dist/native.js'), 'utf8');
  for (const name of names) expect(source).toContain(`'${name}': () => require('gru-native-${name}')`);
});

describe('an addon that loads', () => {
  test('a build beside the package wins over the platform package', async () => {
    const installation = install({ [HERE]: addonBytes() });
    const loaded = async () => {
      const script = `import('gru-native').then(() => console.log(
        Object.keys(require.cache).filter((path) => path.endsWith('.node')).join()))`;
      return (await start(installation.root, [], '', {}, ['-e', script]).finished).stdout.trim();
    };
    expect(await loaded()).toBe(installation.addon(HERE));
    const local = join(installation.own, `gru-native.${HERE}.node`);
    writeFileSync(local, addonBytes());
    expect(await loaded()).toBe(local);
  });

  test('a program that holds our files among its own, as a bundle does, is not taken for another version', async () => {
    const { root } = install({ [HERE]: addonBytes() });
    cpSync(join(ROOT, 'dist'), join(root, 'dist'), { recursive: true });
    rmSync(join(root, 'node_modules/gru-native'), { recursive: true });
    writeFileSync(join(root, 'package.json'), '{ "name": "program", "version": "7.7.7", "type": "module" }');
    const script = `import('./dist/index.js').then(({ Network }) => console.log(typeof Network))`;
    const { stdout, stderr } = await start(root, [], '', {}, ['-e', script]).finished;
    expect({ stdout, stderr }).toEqual({ stdout: 'function\n', stderr: '' });
  });

  test('what is looked at before loading takes less than a millisecond', () => {
    const times = Array.from({ length: 50 }, () => {
      const began = performance.now();
      expect(fileFault(addonPath)).toBeUndefined();
      return performance.now() - began;
    });
    expect(Math.min(...times)).toBeLessThan(1);
  });
});

describe('a package that is missing', () => {
  const local = (name: string, modules = 'node_modules') =>
    `ROOT/${modules}/gru-native/gru-native.${name}.node`;

  test.each([
    ['freebsd-x64', { platform: 'freebsd', arch: 'x64' }],
    ['linux-riscv64-gnu', { ...LINUX, arch: 'riscv64' }],
    ['linux-ia32-gnu', { ...LINUX, arch: 'ia32' }],
    ['win32-arm64-msvc', { platform: 'win32', arch: 'arm64' }],
    ['win32-ia32-msvc', { platform: 'win32', arch: 'ia32' }],
  ])('no package is made for %s', async (name, fake) => {
    expect(await refusal(install({}), { fake })).toEqual([
      `expected one of the platforms ${SUPPORTED_PLATFORMS.join(', ')}, received ${name}; ` +
        `there is no build at ${local(name)} either`,
      'Build the addon from the source: with Rust installed, run npm install and npm run build:rs in a checkout of gru-native.',
    ]);
  });

  test('optional dependencies were left out, by each installer', async () => {
    const cause = (modules?: string) =>
      `expected the package gru-native-linux-x64-gnu, received none; there is no build at ${local('linux-x64-gnu', modules)} either`;
    const told = 'It is an optional dependency that this installation, or its lockfile, leaves out.';
    const npm = install({});
    expect(await refusal(npm, { fake: LINUX })).toEqual([
      cause(),
      `${told} If the command does not bring it, remove node_modules and package-lock.json first. Run: npm install --include=optional gru-native`,
    ]);
    rmSync(join(npm.root, 'package.json'));
    expect((await refusal(npm, { fake: LINUX }))[1]).toContain(
      'Run: npm install --global --include=optional',
    );
    const modules = 'node_modules/.pnpm/gru-native@0.1.0/node_modules';
    expect(await refusal(install({}, { modules }), { fake: LINUX })).toEqual([
      cause(modules),
      `${told} Run: pnpm install`,
    ]);
    const yarn = install({});
    writeFileSync(join(yarn.root, 'node_modules/.yarn-state.yml'), '');
    expect((await refusal(yarn, { fake: LINUX }))[1]).toBe(
      `${told} Run: yarn config set supportedArchitectures --json ` +
        `'{"os":["current"],"cpu":["current"],"libc":["current"]}' && yarn install`,
    );
    const classic = install({});
    writeFileSync(join(classic.root, 'node_modules/.yarn-integrity'), '');
    expect((await refusal(classic, { fake: LINUX }))[1]).toBe(`${told} Run: yarn install --force`);
  });

  test('a checkout that was not built', async () => {
    const root = folder();
    mkdirSync(join(root, 'node_modules'));
    for (const part of ['dist', 'package.json', 'Cargo.lock']) {
      cpSync(join(ROOT, part), join(root, part), { recursive: true });
    }
    cpSync(join(ROOT, 'node_modules/commander'), join(root, 'node_modules/commander'), { recursive: true });
    const { code, stderr } = await start(root, ['train'], '', {}, [join(root, 'dist/cli/main.js')]).finished;
    expect(code).toBe(1);
    expect(stderr.replaceAll(root, 'ROOT')).toBe(
      `error: expected the package gru-native-${HERE} or a build at ROOT/gru-native.${HERE}.node, received neither\n` +
        'Build the addon, with Rust installed. Run: npm run build:rs\n',
    );
  });

  const here =
    'Remove node_modules and package-lock.json and install on this machine; or, to install for it elsewhere, run:';
  test.each([
    [
      'another system',
      { 'darwin-arm64': HEAD, 'win32-x64-msvc': HEAD },
      LINUX,
      'gru-native-linux-x64-gnu, received gru-native-win32-x64-msvc, gru-native-darwin-arm64: ' +
        'installed for win32, and this system is linux',
      `${here} npm install --os=linux --cpu=x64 --libc=glibc gru-native`,
    ],
    [
      'another processor',
      { 'linux-x64-gnu': HEAD },
      { ...LINUX, arch: 'arm64' },
      'gru-native-linux-arm64-gnu, received gru-native-linux-x64-gnu: installed for x64, and this Node is for arm64',
      `${here} npm install --os=linux --cpu=arm64 --libc=glibc gru-native`,
    ],
    [
      'glibc, on Alpine',
      { 'linux-x64-gnu': HEAD },
      ALPINE,
      'gru-native-linux-x64-musl, received gru-native-linux-x64-gnu: installed for glibc, and this system has musl',
      `${here} npm install --os=linux --cpu=x64 --libc=musl gru-native`,
    ],
    [
      'musl, on a system with glibc',
      { 'linux-x64-musl': HEAD },
      LINUX,
      'gru-native-linux-x64-gnu, received gru-native-linux-x64-musl: installed for musl, and this system has glibc',
      `${here} npm install --os=linux --cpu=x64 --libc=glibc gru-native`,
    ],
    [
      'Node for x64 under Rosetta',
      { 'darwin-arm64': HEAD },
      { platform: 'darwin', arch: 'x64', cpu: 'Apple M3 Pro' },
      'gru-native-darwin-x64, received gru-native-darwin-arm64: installed for arm64, ' +
        'and this Node is for x64, run by Rosetta on an Apple processor',
      'Use a Node for arm64 (node -p process.arch prints arm64), or run: npm install --os=darwin --cpu=x64 gru-native',
    ],
    [
      'Node for x64 on a Mac with an Intel processor',
      { 'darwin-arm64': HEAD },
      { platform: 'darwin', arch: 'x64', cpu: 'Intel(R) Core(TM) i7' },
      'gru-native-darwin-x64, received gru-native-darwin-arm64: installed for arm64, and this Node is for x64',
      `${here} npm install --os=darwin --cpu=x64 gru-native`,
    ],
  ])('that of another platform is there: %s', async (_, packages, fake, cause, remedy) => {
    expect(await refusal(install(packages), { fake })).toEqual([`expected the package ${cause}`, remedy]);
  });

  test('that of another platform is there, by pnpm and yarn', async () => {
    const modules = 'node_modules/.pnpm/gru-native@0.1.0/node_modules';
    expect((await refusal(install({ 'linux-x64-gnu': HEAD }, { modules }), { fake: ALPINE }))[1]).toBe(
      'Remove node_modules and install on this machine; or, to install for it elsewhere, run: ' +
        'pnpm install --os=linux --cpu=x64 --libc=musl',
    );
    const yarn = install({ 'linux-x64-gnu': HEAD });
    writeFileSync(join(yarn.root, 'node_modules/.yarn-state.yml'), '');
    expect((await refusal(yarn, { fake: ALPINE }))[1]).toBe(
      'Remove node_modules and install on this machine; or, to install for it elsewhere, run: ' +
        `yarn config set supportedArchitectures --json '{"os":["linux"],"cpu":["x64"],"libc":["musl"]}' && yarn install`,
    );
  });

  test('that of another platform is there, in an installation for all of the machine', async () => {
    const everywhere = install({ 'linux-x64-gnu': HEAD });
    rmSync(join(everywhere.root, 'package.json'));
    expect((await refusal(everywhere, { fake: ALPINE }))[1]).toBe(
      'Install on this machine. Run: npm install --global --include=optional gru-native',
    );
  });

  test("Yarn's Plug'n'Play is known without any folder", () => {
    expect(findInstaller('/cache/gru-native/dist/native.js', true)).toBe('yarn');
    expect(findInstaller('/bundle/dist/native.js', false)).toBe('npm');
  });

  test('its file alone is gone', async () => {
    expect(await refusal(install({ [HERE]: null }))).toEqual([
      `expected a whole addon in ROOT/node_modules/gru-native-${HERE}/gru-native.${HERE}.node, received no file`,
      `Remove ROOT/node_modules/gru-native-${HERE}, then run: npm install --include=optional gru-native`,
    ]);
  });
});

describe('an addon that must not or cannot serve', () => {
  const path = `ROOT/node_modules/gru-native-${HERE}/gru-native.${HERE}.node`;

  test('--no-addons, as an option and in the environment', async () => {
    const installation = install({ [HERE]: addonBytes() });
    const told = [
      `expected Node to load addons, for ${path}, received a Node that was started with --no-addons`,
      'Start Node without --no-addons; see whether it stands in the environment variable NODE_OPTIONS.',
    ];
    expect(await refusal(installation, { flags: ['--no-addons'] })).toEqual(told);
    expect(await refusal(installation, { env: { NODE_OPTIONS: '--no-addons' } })).toEqual(told);
  });

  test("Node's permission model without --allow-addons", async () => {
    const permission = process.allowedNodeEnvironmentFlags.has('--permission')
      ? '--permission'
      : '--experimental-permission';
    const installation = install({ [HERE]: addonBytes() });
    expect(await refusal(installation, { flags: [permission, '--allow-fs-read=*'] })).toEqual([
      `expected Node to load addons, for ${path}, received a Node whose permissions do not allow it`,
      'Start Node with --allow-addons beside --permission (--experimental-permission in Node 20).',
    ]);
  });

  test('another version', async () => {
    expect(await refusal(install({ [HERE]: addonBytes() }, { version: '9.8.7' }))).toEqual([
      `expected version 9.8.7 of the addon, received ${VERSION} in ${path}`,
      'Run: npm install gru-native@9.8.7',
    ]);
  });
});
