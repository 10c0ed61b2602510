/** This package as an installation: a project with node_modules in a temporary folder, commands run in it, how they end. */

import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'vitest';
import { type Finished, folder, start } from './cli/command.js';

const ROOT = resolve(import.meta.dirname, '..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const FAKE_PLATFORM = pathToFileURL(join(import.meta.dirname, 'fake-platform.mjs')).href;

/** An installation. */
export interface Installation {
  /** The folder of the project. */
  root: string;
  /** Where this package lies. */
  own: string;
  /** Runs `gru-native ...args` there. */
  cli: (args: readonly string[], how?: How) => Promise<Finished>;
  /** Where the addon of a platform's package lies, or would lie. */
  addon: (platform: string) => string;
}

/** How a command is run. */
export interface How {
  /** What fake-platform.mjs is told. */
  fake?: object;
  /** Node's options. */
  flags?: readonly string[];
  env?: Record<string, string>;
}

/**
 * Installs the built package.
 *
 * @param packages - the addon of each platform's package, by the platform's name; null for a package without it
 * @param modules - the folder that holds the packages
 * @param version - what the package says of its version
 */
export function install(
  packages: Readonly<Record<string, Uint8Array | null>>,
  { modules = 'node_modules', version = MANIFEST.version as string } = {},
): Installation {
  const root = folder();
  const own = join(root, modules, 'gru-native');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(root, 'package.json'), '{ "private": true }');
  writeFileSync(join(own, 'package.json'), JSON.stringify({ ...MANIFEST, version }));
  for (const part of ['dist', 'corpora']) cpSync(join(ROOT, part), join(own, part), { recursive: true });
  const constant = join(own, 'dist/package-version.js');
  writeFileSync(constant, readFileSync(constant, 'utf8').replace(MANIFEST.version, version));
  for (const name of Object.keys(MANIFEST.dependencies)) {
    symlinkSync(join(ROOT, 'node_modules', name), join(root, modules, name), 'junction');
  }
  const addon = (platform: string) =>
    join(root, modules, `gru-native-${platform}`, `gru-native.${platform}.node`);
  for (const [platform, bytes] of Object.entries(packages)) {
    const place = join(root, modules, `gru-native-${platform}`);
    mkdirSync(place);
    const manifest = { name: `gru-native-${platform}`, version, main: `gru-native.${platform}.node` };
    writeFileSync(join(place, 'package.json'), JSON.stringify(manifest));
    if (bytes !== null) writeFileSync(addon(platform), bytes);
  }
  const cli = (args: readonly string[], { fake, flags = [], env = {} }: How = {}) => {
    const preload = fake === undefined ? [] : ['--import', FAKE_PLATFORM];
    const program = [...preload, ...flags, join(own, 'dist/cli/main.js')];
    return start(root, args, '', { FAKE_PLATFORM: JSON.stringify(fake ?? {}), ...env }, program).finished;
  };
  return { root, own, cli, addon };
}

/** The two lines that `gru-native train` ends with, where exit code and JSON are as for every addon that fails. */
export async function refusal(
  installation: Installation,
  how: How = {},
): Promise<[cause: string, remedy: string]> {
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

/** For fake-platform.mjs: Linux with glibc, and with musl. */
export const LINUX = { platform: 'linux', arch: 'x64', glibc: '2.36' };
export const ALPINE = { ...LINUX, glibc: null };
/** Bytes that are an ELF file for x64 as far as the loader looks before it loads. */
export const HEAD = Buffer.alloc(64);
HEAD.write('\x7fELF\x02\x01', 'latin1');
HEAD.writeUInt16LE(62, 18);
