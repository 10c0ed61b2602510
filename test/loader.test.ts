/**
 * What a user sees where the addon does not load: each case in a process of its own on an installation in a temporary
 * folder, with addons that this system refuses for real, or on a Node that takes itself for one on another system.
 */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileFault } from '../src/addon-file.js';
import { findInstaller } from '../src/installer.js';
import { addonPath, SUPPORTED_PLATFORMS } from '../src/native.js';
import { currentPlatform, platformName, platformOf } from '../src/platform.js';
import { folder, start } from './cli/command.js';
import { type How, type Installation, install } from './mini-install.js';
import { addonBytes, forMachine, needingLibrary, needingNewGlibc } from './patched-addon.js';

const ROOT = resolve(import.meta.dirname, '..');
const HERE = platformName(currentPlatform());
const VERSION = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version as string;

/** The two lines that `gru-native train` ends with, where exit code and JSON are as for every addon that fails. */
async function refusal(installation: Installation, how: How = {}): Promise<[cause: string, remedy: string]> {
  const { code, stderr, events } = await installation.cli(['train', '--json'], how);
  const lines = stderr.replace(/^\(node:\d+\) ExperimentalWarning.*\n.*\n/, '').split('\n');
  expect(lines, stderr).toHaveLength(3);
  expect(code).toBe(1);
  const [cause = '', hint = '', end] = lines;
  expect(end).toBe('');
  const message = cause.replace(/^error: /, '');
  expect(events()).toEqual([{ v: 1, type: 'error', code: 'GRU_ADDON', message, hint }]);
  return [message.replaceAll(installation.root, 'ROOT'), hint.replaceAll(installation.root, 'ROOT')];
}

const LINUX = { platform: 'linux', arch: 'x64', glibc: '2.36' };
const ALPINE = { ...LINUX, glibc: null };
/** Bytes that are an ELF file for x64 as far as the loader looks before it loads. */
const HEAD = Buffer.alloc(64);
HEAD.write('\x7fELF\x02\x01', 'latin1');
HEAD.writeUInt16LE(62, 18);

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

describe.skipIf(process.platform !== 'linux')('an addon that Linux refuses', () => {
  const path = `ROOT/node_modules/gru-native-${HERE}/gru-native.${HERE}.node`;
  const glibc = currentPlatform().glibcVersion;

  test('a system older than the packages are built for is told before loading', async () => {
    const old = { ...LINUX, glibc: '2.17' };
    expect(await refusal(install({ 'linux-x64-gnu': HEAD }), { fake: old })).toEqual([
      'expected glibc 2.28 or newer for ROOT/node_modules/gru-native-linux-x64-gnu/gru-native.linux-x64-gnu.node, received glibc 2.17',
      'Use a system with glibc 2.28, such as a newer image of the container (Debian 10, Ubuntu 20.04, RHEL 8 and all later ones); ' +
        'or build the addon on this one: with Rust installed, npm run build:rs in a checkout of gru-native.',
    ]);
    // 2.28 itself, and versions that are smaller as text.
    for (const enough of ['2.28', '2.100', '3.1']) {
      const how = { fake: { ...LINUX, glibc: enough, dlopen: 'words' } };
      expect((await refusal(install({ 'linux-x64-gnu': HEAD }), how))[0]).toMatch(/received: words$/);
    }
  });

  test.skipIf(glibc === undefined)(
    'one that needs a newer glibc, by the words of the real dlopen',
    async () => {
      const { bytes, version } = needingNewGlibc();
      expect(await refusal(install({ [HERE]: bytes }))).toEqual([
        `expected glibc ${version} or newer for ${path}, received glibc ${glibc}`,
        `Use a system with glibc ${version}, such as a newer image of the container; ` +
          'or build the addon on this one: with Rust installed, npm run build:rs in a checkout of gru-native.',
      ]);
    },
  );

  test('one for another processor', async () => {
    const other = process.arch === 'x64' ? 'arm64' : 'x64';
    const cause = (machine: string) =>
      `expected an addon for ${process.arch} in ${path}, received one for ${machine}: this Node is for ${process.arch}`;
    const remedy = /^Remove node_modules and .*--os=linux --cpu=\w+ --libc=\w+ gru-native$/;
    expect(await refusal(install({ [HERE]: forMachine(other === 'arm64' ? 183 : 62) }))).toEqual([
      cause(other),
      expect.stringMatching(remedy),
    ]);
    expect((await refusal(install({ [HERE]: forMachine(243) })))[0]).toBe(cause('another processor'));
  });

  test('one that was cut off anywhere, is empty, or is no addon', async () => {
    const bytes = addonBytes();
    const cause = (received: string) => `expected a whole addon in ${path}, received ${received}`;
    for (const length of [64, 5000, bytes.length >> 1, bytes.length - 1]) {
      expect(await refusal(install({ [HERE]: bytes.subarray(0, length) }))).toEqual([
        cause(`the first ${length} of ${bytes.length} bytes`),
        `Remove ROOT/node_modules/gru-native-${HERE}, then run: npm install --include=optional gru-native`,
      ]);
    }
    expect((await refusal(install({ [HERE]: Buffer.alloc(0) })))[0]).toBe(cause('an empty file'));
    expect((await refusal(install({ [HERE]: Buffer.from('<html>') })))[0]).toBe(
      cause('a file of another kind'),
    );
  });

  test('one without a library that it needs, by the words of the real dlopen', async () => {
    const missing = (library: string) => refusal(install({ [HERE]: needingLibrary(library) }));
    const words = (library: string) =>
      `${library}: cannot open shared object file: No such file or directory`;
    expect(await missing('libabsent.so.7')).toEqual([
      `expected ${path} to load, received a system without a library that it needs, libabsent.so.7: ${words('libabsent.so.7')}`,
      'Install the package of this system that has libabsent.so.7.',
    ]);
    expect(await missing('libc.musl-x86_64.so.1')).toEqual([
      `expected ${path} to load, received an addon for musl, and this system has glibc: ${words('libc.musl-x86_64.so.1')}`,
      expect.stringMatching(/--libc=glibc gru-native$/),
    ]);
  });

  test('a file that may not be read', async () => {
    const installation = install({ [HERE]: addonBytes() });
    rmSync(installation.addon(HERE));
    mkdirSync(installation.addon(HERE)); // as root reads every file
    expect((await refusal(installation))[0]).toMatch(/^expected .* received/);
  });
});

describe('what dlopen says elsewhere', () => {
  const MUSL = { 'linux-x64-musl': HEAD };
  const file = (name: string) => `ROOT/node_modules/gru-native-${name}/gru-native.${name}.node`;
  test.each([
    [
      'an addon for glibc on Alpine',
      MUSL,
      ALPINE,
      'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /a.node)',
      /received an addon for glibc, and this system has musl: Error loading/,
      /--libc=musl gru-native$/,
    ],
    [
      'one that Alpine cannot link',
      MUSL,
      ALPINE,
      'Error relocating /a.node: gnu_get_libc_version: symbol not found',
      /received an addon for glibc, and this system has musl: Error relocating/,
      /--libc=musl gru-native$/,
    ],
    [
      'Alpine without libgcc',
      MUSL,
      ALPINE,
      'Error loading shared library libgcc_s.so.1: No such file or directory (needed by /a.node)',
      /received a system without a library that it needs, libgcc_s\.so\.1: Error loading/,
      /^Run: apk add libgcc$/,
    ],
    [
      'a system with glibc without libgcc',
      { 'linux-x64-gnu': HEAD },
      LINUX,
      'libgcc_s.so.1: cannot open shared object file: No such file or directory',
      /a library that it needs, libgcc_s\.so\.1/,
      /^Run: apt-get install libgcc-s1 /,
    ],
    [
      'an addon for musl beside the linker script of glibc',
      { 'linux-x64-gnu': HEAD },
      LINUX,
      '/usr/lib/x86_64-linux-gnu/libc.so: invalid ELF header',
      /received an addon for musl, and this system has glibc/,
      /--libc=glibc gru-native$/,
    ],
    [
      'macOS, under Rosetta',
      { 'darwin-x64': HEAD },
      { platform: 'darwin', arch: 'x64', cpu: 'Apple M1' },
      "dlopen(/a.node, 0x0001): tried: '/a.node' (mach-o file, but is an incompatible architecture (have 'arm64', need 'x86_64h' or 'x86_64'))",
      new RegExp(`expected an addon for x64 in ${file('darwin-x64')}, received one for arm64: .* Rosetta`),
      /^Use a Node for arm64 /,
    ],
    [
      'macOS, an addon for Intel',
      { 'darwin-arm64': HEAD },
      { platform: 'darwin', arch: 'arm64', cpu: 'Apple M1' },
      "dlopen(/a.node, 0x0001): tried: '/a.node' (mach-o file, but is an incompatible architecture (have 'x86_64', need 'arm64'))",
      /received one for x64: this Node is for arm64$/,
      /--os=darwin --cpu=arm64 gru-native$/,
    ],
    [
      'Windows, another processor',
      { 'win32-x64-msvc': HEAD },
      { platform: 'win32', arch: 'x64' },
      '\\\\?\\C:\\a.node is not a valid Win32 application.\r\n\\\\?\\C:\\a.node',
      /received one for another processor: this Node is for x64/,
      /--os=win32 --cpu=x64 gru-native$/,
    ],
    [
      'Windows without the run-time library of its compiler',
      { 'win32-x64-msvc': HEAD },
      { platform: 'win32', arch: 'x64' },
      'The specified module could not be found.\r\n\\\\?\\C:\\a.node',
      /a library that it needs, Visual C\+\+'s run-time library: The specified module could not be found\. \\/,
      /^Run: winget install Microsoft\.VCRedist\.2015\+\.x64$/,
    ],
    [
      'anything else',
      { 'linux-x64-gnu': HEAD },
      LINUX,
      '/a.node: failed to map segment from shared object',
      /^expected .* to load, received: \/a\.node: failed to map segment from shared object$/,
      /gru-native doctor/,
    ],
  ])('%s', async (_, packages, system, dlopen, cause, remedy) => {
    const told = await refusal(install(packages), { fake: { ...system, dlopen } });
    expect(told).toEqual([expect.stringMatching(cause), expect.stringMatching(remedy)]);
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
