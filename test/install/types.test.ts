/** The types as a project of TypeScript sees them, and what the tools say that judge packages. */

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { newProject, type Project } from './project.js';
import { TOOLS } from './tools.js';

const PROGRAM = `
import { type EpochEvent, GruError, LanguageModel, loadCorpus, Network, train } from 'gru-native';
const corpus = await loadCorpus('songs', { maxChars: 20_000 });
for await (const event of train({ corpus, epochs: 1 })) {
  if (event.type === 'epoch') { const epoch: EpochEvent = event; const perplexity: number = epoch.perplexity; void perplexity; }
}
const model: LanguageModel = await LanguageModel.load('gru-model').catch((error: GruError) => { throw error; });
const text: string = await model.generate('分开', { length: 100 });
// @ts-expect-error a length is a number
await model.generate(text, { length: '100' });
const network = new Network({ vocabSize: 4, hiddenSize: 8, device: 'cpu' } as ConstructorParameters<typeof Network>[0]);
network.dispose();
`;

let project: Project;
beforeAll(() => {
  project = newProject({ removeAfter: afterAll });
  project.install();
  project.write('program.mts', PROGRAM);
});

/** Type-checks the program by the TypeScript of the tools. */
function check(module: string, moduleResolution: string): string {
  const options = ['--noEmit', '--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable'];
  const resolved = ['--module', module, '--moduleResolution', moduleResolution];
  const types = ['--types', 'node', '--typeRoots', join(TOOLS, '@types')];
  const args = [join(TOOLS, 'typescript', 'bin', 'tsc'), ...options, ...resolved, ...types, 'program.mts'];
  return spawnSync(process.execPath, args, { cwd: project.folder, encoding: 'utf8' }).stdout;
}

test.each([
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
])('types resolve with module %s, resolution %s, libraries checked too', (module, resolution) => {
  expect(check(module, resolution)).toBe('');
});

test('publint --strict finds nothing', async () => {
  const tarball = readFileSync(join(inject('tarballs'), `${name()}.tgz`));
  const pack = { tarball: tarball.buffer.slice(tarball.byteOffset, tarball.byteOffset + tarball.byteLength) };
  const { messages, pkg } = await publint({ pack: pack as { tarball: ArrayBuffer }, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test('attw finds nothing for an ESM package', () => {
  const attw = join(TOOLS, '@arethetypeswrong', 'cli', 'dist', 'index.js');
  const args = [attw, join(inject('tarballs'), `${name()}.tgz`), '--profile', 'esm-only', '--no-color'];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(status, stdout).toBe(0);
});

/** The package's tarball without its ending. */
function name(): string {
  const npm = ['pkg', 'get', 'version'];
  const version = JSON.parse(
    execFileSync('npm', npm, { encoding: 'utf8', cwd: new URL('../..', import.meta.url) }),
  );
  return `gru-native-${version}`;
}
