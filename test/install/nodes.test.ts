/** The installed package on every line of Node that is supported: the command, and every way to import it. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectSuccess, newProject, type Project, TRAIN } from './project.js';
import { NODES } from './tools.js';

const USE = 'console.log(DEFAULT_CONFIG.hiddenSize, typeof Network)';
const USED = '256 function\n';

/** Trains in a worker, and lets a second worker be ended in the middle of an epoch. */
const WORKERS = `
import { once } from 'node:events';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { corpusFromText, train } from 'gru-native';
if (isMainThread) {
  const file = new URL(import.meta.url);
  const [[perplexity]] = await Promise.all([once(new Worker(file, { workerData: 2 }), 'message')]);
  const long = new Worker(file, { workerData: 1e6 });
  await once(long, 'message');
  await long.terminate();
  console.log(perplexity > 1);
} else {
  const corpus = corpusFromText('one two three four '.repeat(100));
  const run = train({ corpus, epochs: workerData, hiddenSize: 8, batchSize: 4, numSteps: 8, prefix: ['o'] });
  for await (const event of run) {
    if (event.type === (workerData === 2 ? 'end' : 'epoch')) parentPort.postMessage(event.perplexity);
  }
}
`;

describe.each(NODES)('Node $line', ({ line, path }) => {
  let project: Project;
  beforeAll(() => {
    project = newProject({ node: path, removeAfter: afterAll });
    project.install();
  });

  test('is the one that runs', () => {
    expect(project.node(['--version']).stdout).toMatch(new RegExp(`^v${line}\\.`));
  });

  test('the command trains and writes', () => {
    expectSuccess(project.command(TRAIN));
    const { stdout } = expectSuccess(project.command(['generate', '--prefix', '一', '--length', '5']));
    expect(stdout).toMatch(/^一.{5}\n$/u);
    expect(expectSuccess(project.command(['--version'])).stdout).toBe(`${version()}\n`);
  });

  test('import, from ESM', () => {
    project.write('use.mjs', `import { DEFAULT_CONFIG, Network } from 'gru-native'; ${USE}`);
    expect(expectSuccess(project.node(['use.mjs']))).toMatchObject({ stdout: USED, stderr: '' });
  });

  test('import(), from CommonJS', () => {
    project.write('use.cjs', `import('gru-native').then(({ DEFAULT_CONFIG, Network }) => { ${USE} })`);
    expect(expectSuccess(project.node(['use.cjs']))).toMatchObject({ stdout: USED, stderr: '' });
  });

  test('require, from CommonJS', () => {
    project.write('require.cjs', `const { DEFAULT_CONFIG, Network } = require('gru-native'); ${USE}`);
    expect(expectSuccess(project.node(['require.cjs'])).stdout).toBe(USED);
  });

  test('in worker threads, one of which is ended at work', () => {
    project.write('workers.mjs', WORKERS);
    expect(expectSuccess(project.node(['workers.mjs'])).stdout).toBe('true\n');
  });

  test('without leave to load addons it says so', () => {
    const permission = line === '20' ? '--experimental-permission' : '--permission';
    const switches = [['--no-addons'], [permission, '--allow-fs-read=*', '--allow-worker']];
    for (const options of switches) {
      const { code, stderr } = project.command([...TRAIN], options);
      expect(code, stderr).toBe(1);
      expect(stderr).toContain('addons');
      expect(stderr).toContain(options[0]);
    }
  });
});

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
