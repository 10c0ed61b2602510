/**
 * What a user sees where the addon is there and the system refuses it: addons that Linux refuses for real, and what
 * the loaders of other systems say, in a process of its own on an installation in a temporary folder.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { currentPlatform, platformName } from '../src/platform.js';
import { ALPINE, HEAD, install, LINUX, refusal } from './mini-install.js';
import { addonBytes, forMachine, needingLibrary, needingNewGlibc } from './patched-addon.js';

const HERE = platformName(currentPlatform());

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
