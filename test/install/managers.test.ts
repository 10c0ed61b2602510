/**
 * gru-native as each package manager installs it: from tarballs without any registry, and from a registry, where the
 * platform package is an optional dependency of which only the one that fits may be taken.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import { type Ended, expectSuccess, newProject, type Project, TRAIN } from './project.js';

const PLATFORM = 'gru-native-linux-x64-gnu';
const VERSION = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  .version as string;

/** The tarballs by the name of their package: those of this machine, or all. */
function tarballs(all = false): Record<string, string> {
  const folder = inject('tarballs');
  const wanted = readdirSync(folder).filter((name) => all || !/^gru-native-(?!\d|linux-x64-gnu)/.test(name));
  return Object.fromEntries(wanted.map((name) => [name.replace(/-\d.*$/, ''), `file:${join(folder, name)}`]));
}

/** Trains and writes by `run`, which is how a manager runs a command of an installed package. */
function expectTrains(project: Project, run: (args: readonly string[]) => Ended): void {
  expectSuccess(run(['gru-native', ...TRAIN]));
  expect(existsSync(join(project.folder, 'gru-model', 'model.safetensors'))).toBe(true);
  const { stdout } = expectSuccess(run(['gru-native', 'generate', '--prefix', '一', '--length', '5']));
  expect(stdout).toMatch(/一.{5}\n/u);
}

describe('from tarballs, without a registry', () => {
  const nowhere = {
    npm_config_registry: 'http://127.0.0.1:9/',
    YARN_NPM_REGISTRY_SERVER: 'http://127.0.0.1:9/',
  };

  test('npm', () => {
    const project = newProject();
    const files = Object.values(tarballs());
    expectSuccess(project.manager('npm', ['install', '--offline', '--ignore-scripts', ...files], nowhere));
    expectTrains(project, (args) => project.manager('npm', ['exec', '--offline', '--', ...args], nowhere));
  });

  // pnpm and yarn ask a registry for what a tarball depends on, if another tarball does not stand in for it by name.
  test('pnpm', () => {
    const project = newProject();
    project.write(
      'package.json',
      JSON.stringify({ dependencies: tarballs(), pnpm: { overrides: tarballs() } }),
    );
    expectSuccess(project.manager('pnpm', ['install', '--offline', '--ignore-scripts'], nowhere));
    expectTrains(project, (args) => project.manager('pnpm', ['exec', ...args], nowhere));
  });

  test('yarn 4', () => {
    const project = newProject();
    project.write('yarn.lock', '');
    project.write('package.json', JSON.stringify({ dependencies: tarballs(), resolutions: tarballs(true) }));
    expectSuccess(project.manager('yarn', ['install'], nowhere));
    expectTrains(project, (args) => project.manager('yarn', ['run', ...args], nowhere));
  });
});

describe('from a registry', () => {
  test('npm', () => {
    const project = newProject();
    expectSuccess(project.manager('npm', ['install', '--ignore-scripts', 'gru-native']));
    const installed = readdirSync(join(project.folder, 'node_modules')).filter((name) =>
      name.startsWith('gru-'),
    );
    expect(installed).toEqual(['gru-native', PLATFORM]);
    expectTrains(project, (args) => project.manager('npm', ['exec', '--', ...args]));
  });

  test('npx without installing', () => {
    const project = newProject();
    expectTrains(project, (args) => project.manager('npm', ['exec', '--yes', '--', ...args]));
    expect(existsSync(join(project.folder, 'node_modules'))).toBe(false);
  });

  test('pnpm', () => {
    const project = newProject();
    expectSuccess(project.manager('pnpm', ['add', '--ignore-scripts', 'gru-native']));
    const store = readdirSync(join(project.folder, 'node_modules', '.pnpm'));
    expect(store.filter((name) => name.startsWith('gru-')).sort()).toEqual([
      `${PLATFORM}@${VERSION}`,
      `gru-native@${VERSION}`,
    ]);
    expectTrains(project, (args) => project.manager('pnpm', ['exec', ...args]));
  });

  test('yarn 1', () => {
    const project = newProject();
    expectSuccess(
      project.manager('yarn classic', ['add', '--ignore-scripts', '--no-progress', 'gru-native']),
    );
    expectTrains(project, (args) => project.manager('yarn classic', ['--silent', 'run', ...args]));
  });

  for (const linker of ['pnp', 'node-modules']) {
    test(`yarn 4, ${linker}`, () => {
      const env = { YARN_NODE_LINKER: linker };
      const project = newProject();
      project.write('yarn.lock', '');
      expectSuccess(project.manager('yarn', ['add', 'gru-native'], env));
      expectTrains(project, (args) => project.manager('yarn', ['run', ...args], env));
      project.write(
        'use.mjs',
        "import { DEFAULT_CONFIG } from 'gru-native'; console.log(DEFAULT_CONFIG.hiddenSize)",
      );
      expect(expectSuccess(project.manager('yarn', ['node', 'use.mjs'], env)).stdout).toBe('256\n');
    });
  }
});
