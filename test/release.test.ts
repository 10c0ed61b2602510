/** The release: its workflows name what the project has, its notes are filled, and every version is one version. */

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageVersion } from '../src/package-version.js';
import { folder } from './cli/command.js';

const ROOT = resolve(import.meta.dirname, '..');
const WORKFLOWS = join(ROOT, '.github/workflows');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const MANIFEST = JSON.parse(read('package.json'));
const RELEASE = read('.github/workflows/release.yml');

/** The lines of one job of the release. */
function job(name: string): string {
  const found = new RegExp(`^  ${name}:\\n((?: {4}.*\\n|\\n)+)`, 'm').exec(RELEASE)?.[1];
  if (found === undefined) throw new Error(`expected a job ${name}, received none`);
  return found;
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] as string);
}

const targetsOf = (name: string) => matches(job(name), /target: ([\w-]+)/g).sort();

describe.each(readdirSync(WORKFLOWS))('%s', (file) => {
  const workflow = read(join('.github/workflows', file));

  test('runs only scripts that there are', () => {
    const scripts = matches(workflow, /npm run (?:--silent )?([\w:-]+)/g);
    expect(scripts.length).toBeGreaterThan(0);
    for (const name of scripts) expect(MANIFEST.scripts).toHaveProperty([name]);
    const files = matches(workflow, /(?:node|bash) ((?:scripts|\.ci)\/\S+)/g);
    for (const name of files) expect(existsSync(join(ROOT, name)), name).toBe(true);
  });

  test('takes each action from a commit, and reads alone unless a job says more', () => {
    const actions = matches(workflow, /uses: (.+)/g).filter((name) => !name.startsWith('./'));
    expect(actions.length).toBeGreaterThan(0);
    for (const action of actions) expect(action).toMatch(/^[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    expect(workflow).toMatch(/^permissions:\n {2}contents: read\n\n/m);
    expect(workflow).not.toContain('secrets.');
  });
});

describe('the release', () => {
  test('builds and tests every target', () => {
    const targets = MANIFEST.napi.targets.toSorted();
    expect(targetsOf('build')).toEqual(targets);
    expect([...targetsOf('test'), ...targetsOf('test-musl')].sort()).toEqual(targets);
  });

  test('tests on every line of Node from the oldest that is supported', () => {
    const [oldest] = matches(MANIFEST.engines.node, /^>=(\d+)/g);
    const lines = matches(read('test/install/package.json'), /"node(\d+)":/g);
    expect(lines[0]).toBe(oldest);
    for (const name of ['test', 'test-musl']) {
      expect(job(name)).toContain(`node: [${lines.join(', ')}]`);
    }
  });

  test('publishes what all other jobs have seen, and may do so only there', () => {
    expect(job('publish')).toContain("needs: pack\n    if: github.event_name == 'push'\n");
    expect(job('publish')).toContain('environment: npm\n');
    expect(job('pack')).toContain('needs: [ci, test, test-musl, check]\n');
    expect(job('pack')).toContain('--complete\n');
    expect(RELEASE.split('id-token: write')).toHaveLength(2);
    expect(job('publish')).toContain('id-token: write');
  });

  test('the portable tests are files', () => {
    const files = MANIFEST.scripts['test:portable'].split(' ').slice(2);
    expect(files.length).toBeGreaterThan(10);
    for (const file of files) expect(existsSync(join(ROOT, file)), file).toBe(true);
  });
});

/** Every place that names the version. */
function versions(root: string): Record<string, string[]> {
  const text = (path: string) => readFileSync(join(root, path), 'utf8');
  const members = readdirSync(join(ROOT, 'crates'));
  return {
    'Cargo.toml': matches(text('Cargo.toml'), /^version = "(.+)"$/gm),
    'Cargo.lock': members.flatMap((name) =>
      matches(text('Cargo.lock'), new RegExp(`"${name}"\nversion = "(.+)"`, 'g')),
    ),
    'src/package-version.ts': matches(text('src/package-version.ts'), /^const VERSION = '(.+)';$/gm),
  };
}

/** As many as there are places, each of them `version`. */
function everywhere(version: string): Record<string, string[]> {
  const crates = readdirSync(join(ROOT, 'crates')).map(() => version);
  return { 'Cargo.toml': [version], 'Cargo.lock': crates, 'src/package-version.ts': [version] };
}

describe('the version', () => {
  test('is the same wherever it is named', () => {
    const lock = JSON.parse(read('package-lock.json'));
    expect([lock.version, lock.packages[''].version]).toEqual([MANIFEST.version, MANIFEST.version]);
    expect(packageVersion()).toBe(MANIFEST.version);
    expect(versions(ROOT)).toEqual(everywhere(MANIFEST.version));
  });

  test('npm version changes it everywhere', () => {
    const root = folder();
    for (const path of Object.keys(versions(ROOT))) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      cpSync(join(ROOT, path), join(root, path));
    }
    writeFileSync(join(root, 'package.json'), '{ "version": "10.20.30-rc.1" }');
    const script = join(ROOT, 'scripts/set-version.mjs');
    execFileSync(process.execPath, [script], { cwd: root });
    expect(versions(root)).toEqual(everywhere('10.20.30-rc.1'));
    expect(MANIFEST.scripts.version).toContain('node scripts/set-version.mjs');

    writeFileSync(join(root, 'Cargo.lock'), '');
    const { status, stderr } = spawnSync(process.execPath, [script], { cwd: root, encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('expected Cargo.lock to have a version');
  });
});

test("the release's notes hold the table, the checksums and what is new", () => {
  const root = folder();
  const tarball = `gru-native-${MANIFEST.version}.tgz`;
  writeFileSync(join(root, tarball), 'packed');
  writeFileSync(join(root, 'table.md'), '| platform | ran |\n');
  const options = ['--checks', join(root, 'table.md'), '--tarballs', root, '--out', join(root, 'notes.md')];
  execFileSync(process.execPath, [join(ROOT, 'scripts/release-notes.mjs'), ...options]);
  const notes = readFileSync(join(root, 'notes.md'), 'utf8');
  expect(notes).toContain('\n| platform | ran |\n');
  // printf packed | sha256sum
  expect(notes).toContain(`88cb8a087b6e8cebfc9ae5602f5a2159a6bcf923e7f2c56809bcda6cad1727a7  ${tarball}\n`);
  expect(notes).toContain('not run on a GPU');
  expect(notes).toMatch(/^### /);
  expect(notes).not.toContain('{{');
});
