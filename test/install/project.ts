/**
 * An empty project of someone who wants gru-native, on a machine that has Node and a shell: no compiler, no Python, no
 * network but the registry of the tests, a home directory of its own.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished } from 'vitest';
import { NPM, PNPM, YARN, YARN_CLASSIC } from './tools.js';

/** How a command ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What the shell scripts need that package managers write for the commands of packages. */
const SHELL = ['sh', 'sed', 'dirname', 'basename', 'uname', 'readlink'];

/** A run of seconds at most: one epoch of a small network, on little text. */
export const TRAIN: readonly string[] = [
  'train',
  '--epochs',
  '1',
  '--hidden-size',
  '16',
  '--max-chars',
  '2000',
];

/** Options of {@link newProject}. */
export interface ProjectOptions {
  /** The Node that everything runs on; the one of the tests unless said. */
  node?: string;
  /** The folder's name. */
  name?: string;
  /** When it is removed: after the running test unless said; vitest's `afterAll` for one that a file's tests share. */
  removeAfter?: (remove: () => void) => void;
}

/** A package manager. */
export type Manager = 'npm' | 'pnpm' | 'yarn classic' | 'yarn';

const SCRIPTS: Record<Manager, string> = { npm: NPM, pnpm: PNPM, 'yarn classic': YARN_CLASSIC, yarn: YARN };

/** A project in a folder of its own, with nothing installed. */
export function newProject(options: ProjectOptions = {}) {
  const { node = process.execPath, name = 'project', removeAfter = onTestFinished } = options;
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'gru-native-user-')));
  removeAfter(() => rmSync(top, { recursive: true, force: true }));
  const folder = join(top, name);
  const home = join(top, 'home');
  const bin = join(top, 'bin');
  for (const path of [folder, home, bin]) mkdirSync(path, { recursive: true });
  symlinkSync(node, join(bin, 'node'));
  for (const command of SHELL) {
    symlinkSync(spawnSync('which', [command], { encoding: 'utf8' }).stdout.trim(), join(bin, command));
  }
  const registry = inject('registry');
  writeFileSync(
    join(home, '.npmrc'),
    `registry=${registry}\nupdate-notifier=false\nfund=false\naudit=false\n`,
  );
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'lyrics', private: true }));
  const environment: Record<string, string> = {
    PATH: bin,
    HOME: home,
    LANG: 'C.UTF-8',
    CUDA_VISIBLE_DEVICES: '',
    npm_config_registry: registry,
    YARN_REGISTRY: registry,
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_ENABLE_TELEMETRY: '0',
    YARN_ENABLE_SCRIPTS: 'false',
    YARN_NPM_MINIMAL_AGE_GATE: '0', // what was published this minute may be installed
  };
  const project = {
    /** The folder with package.json. */
    folder,
    /** Of the user. */
    home,
    /** Runs Node with arguments. */
    node(args: readonly string[], env: Record<string, string> = {}, user: { uid?: number } = {}): Ended {
      const options = {
        cwd: folder,
        env: { ...environment, ...env },
        encoding: 'utf8',
        timeout: 120_000,
      } as const;
      const { status, stdout, stderr, error } = spawnSync(node, args, { ...options, ...user });
      if (error) throw error;
      return { code: status, stdout, stderr };
    },
    /** Runs a package manager. */
    manager(which: Manager, args: readonly string[], env: Record<string, string> = {}): Ended {
      return project.node([SCRIPTS[which], ...args], env);
    },
    /** Installs gru-native by npm from the registry; throws where that fails. */
    install(args: readonly string[] = []): void {
      const ended = project.manager('npm', ['install', '--ignore-scripts', 'gru-native', ...args]);
      if (ended.code !== 0) throw new Error(ended.stderr);
    },
    /** Runs the command of the package, as npx finds it. */
    command(args: readonly string[], options: readonly string[] = [], user: { uid?: number } = {}): Ended {
      const main = join(folder, 'node_modules/gru-native/dist/cli/main.js');
      return project.node([...options, main, ...args], {}, user);
    },
    /** Writes a file of the project, returns its path. */
    write(path: string, text: string): string {
      writeFileSync(join(folder, path), text);
      return join(folder, path);
    },
  };
  return project;
}

export type Project = ReturnType<typeof newProject>;

/** Fails with all that was printed unless the command succeeded. */
export function expectSuccess(ended: Ended): Ended {
  expect(ended.code, ended.stdout + ended.stderr).toBe(0);
  return ended;
}
