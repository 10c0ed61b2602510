/** Where and how the package is used otherwise: odd folders, read-only ones, bundles; and what is left of it. */

import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { expect, test } from 'vitest';
import { type Ended, expectSuccess, newProject, type Project, TRAIN } from './project.js';

/** Every file and folder below a folder, relative to it. */
function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

test('a path with blanks and Chinese characters', () => {
  const project = newProject({ name: 'my 歌词 (1)' });
  project.install();
  expectSuccess(project.command([...TRAIN, '--out', '模型 1']));
  expect(expectSuccess(project.command(['generate', '模型 1', '--prefix', '一'])).stdout).toMatch(/^一/u);
  expect(expectSuccess(project.command(['doctor', '--json'])).stdout).toContain('my 歌词 (1)');
});

test('a read-only node_modules, of another user', () => {
  const project = newProject();
  project.install();
  const modules = join(project.folder, 'node_modules');
  // Root may write anywhere, so the command runs as nobody where the tests run as root.
  const nobody = process.getuid?.() === 0 ? { uid: 65534 } : {};
  for (const path of ['.', ...tree(modules)]) {
    const file = join(modules, path);
    if (existsSync(file)) chmodSync(file, path.endsWith('.node') ? 0o444 : 0o555);
  }
  chmodSync(project.folder, 0o777);
  for (const path of [join(project.folder, '..'), project.home]) chmodSync(path, 0o755);
  expectSuccess(project.command([...TRAIN], [], nobody));
  expectSuccess(project.command(['generate', '--prefix', '一'], [], nobody));
  for (const path of ['.', ...tree(modules)]) chmodSync(join(modules, path), 0o755); // so that it can be removed
});

/** What a bundle is made of: training, and writing by the model. */
const PROGRAM = `
import { corpusFromText, LanguageModel, train } from 'gru-native';
async function main() {
  const corpus = corpusFromText('one two three four '.repeat(100));
  const options = { epochs: 1, hiddenSize: 8, batchSize: 4, numSteps: 8, prefix: ['o'], out: 'bundled' };
  for await (const event of train({ corpus, ...options })) console.error(event.type);
  const model = await LanguageModel.load('bundled');
  console.log((await model.generate('one', { length: 4 })).length);
}
main();
`;

/** Bundles and runs the program. Addons stay beside the bundle, as the documentation of every bundler says. */
async function bundled(project: Project, options: BuildOptions, file: string): Promise<Ended> {
  const outfile = join(project.folder, file);
  await build({
    entryPoints: [project.write('program.mjs', PROGRAM)],
    bundle: true,
    platform: 'node',
    outfile,
    logLevel: 'error',
    external: ['gru-native-*'],
    ...options,
  });
  expect(readFileSync(outfile, 'utf8')).toContain('GRU_ADDON'); // our code is in it
  return project.node([outfile]);
}

test.each([
  { format: 'esm', file: 'bundle.mjs' },
  { format: 'cjs', file: 'bundle.cjs' },
] as const)('in a bundle of format $format, with the addon left outside', async ({ format, file }) => {
  const project = newProject();
  project.install();
  expect(expectSuccess(await bundled(project, { format }, file)).stdout).toBe('7\n');
});

test('uninstalling leaves the models and the cache directory', () => {
  const project = newProject();
  const before = tree(project.home);
  project.install();
  expectSuccess(project.command(TRAIN));
  expectSuccess(project.command(['generate', '--prefix', '一']));
  expectSuccess(project.command(['corpus', 'list']));
  const doctor = JSON.parse(expectSuccess(project.command(['doctor', '--json'])).stdout);
  expectSuccess(project.manager('npm', ['uninstall', '--ignore-scripts', 'gru-native']));
  const mine = tree(project.folder).filter((path) => !path.startsWith('gru-model'));
  expect(mine).toEqual([
    'node_modules',
    'node_modules/.package-lock.json',
    'package-lock.json',
    'package.json',
  ]);
  const left = tree(project.home).filter((path) => !before.includes(path) && !path.startsWith('.npm'));
  const cache = JSON.stringify(doctor).match(
    /"(?:cacheDirectory|directory|path)":"([^"]*cache[^"]*)"/,
  )?.[1] as string;
  expect(cache.startsWith(project.home)).toBe(true);
  expect(left.filter((path) => !join(project.home, path).startsWith(cache))).toEqual([]);
});

test('a lock file of another system: the message names what is there, and its command repairs it', () => {
  const project = newProject();
  project.install(['--os=darwin', '--cpu=arm64']);
  const modules = join(project.folder, 'node_modules');
  expect(readdirSync(modules)).toContain('gru-native-darwin-arm64');
  const { code, stderr } = project.command(TRAIN);
  expect(code).toBe(1);
  expect(stderr).toContain('gru-native-darwin-arm64');
  const command = stderr.match(/npm (install [^\n.]*gru-native)/)?.[1] as string;
  expectSuccess(project.manager('npm', [...command.split(' '), '--ignore-scripts']));
  expectSuccess(project.command(TRAIN));
});

test('optional packages left out: the message says so, and its command repairs it', () => {
  const project = newProject();
  project.install(['--omit=optional']);
  const { code, stderr } = project.command(TRAIN);
  expect(code).toBe(1);
  const command = stderr.match(/npm (install [^\n.]*gru-native)/)?.[1] as string;
  expectSuccess(project.manager('npm', [...command.split(' '), '--ignore-scripts']));
  expectSuccess(project.command(TRAIN));
});
