/** What the documentation shows works: every example of a doc comment, every module in the README, every program. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { native } from '../src/native.js';
import { blocksOf, compile, examplesOf, filesOf, moduleName, ROOT, userFolder } from './code-blocks.js';

const COMMENTED = [...filesOf('src', '.ts'), 'index.d.ts'];
const EXAMPLES = COMMENTED.flatMap(examplesOf);
const SHOWN = filesOf('.', '.md').flatMap(blocksOf);
const PROGRAMS = filesOf('examples', '.mjs');

/** All that was started. */
const started: ChildProcess[] = [];
let folder: string;
let complaints: string;

beforeAll(() => {
  folder = userFolder();
  complaints = compile(folder, [...EXAMPLES, ...SHOWN], PROGRAMS);
}, 60_000);
afterAll(() => {
  for (const child of started) child.kill('SIGKILL'); // where a test gave up waiting
  rmSync(folder, { recursive: true, force: true });
});

/** An empty folder inside the one with the package. */
const emptyFolder = () => mkdtempSync(join(folder, 'run-'));

/** A program that was started, and how it ended. */
interface Program {
  child: ChildProcess;
  /** Resolves when stdout holds the text. */
  printed: (text: string) => Promise<void>;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function start(file: string, cwd: string, args: readonly string[] = []): Program {
  const child = spawn(process.execPath, [file, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const printed = (text: string) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (stdout.includes(text)) resolve();
      };
      child.stdout.on('data', look);
      look();
    });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, stdout, stderr })),
  );
  return { child, printed, ended };
}

const example = (name: string, cwd: string, ...args: string[]) =>
  start(join(ROOT, `examples/${name}.mjs`), cwd, args);

test('every example and module fits the types', () => {
  expect(complaints).toBe('');
  const marked = COMMENTED.map(
    (file) => readFileSync(join(ROOT, file), 'utf8').match(/@example/g)?.length ?? 0,
  );
  expect(EXAMPLES).toHaveLength(marked.reduce((sum, count) => sum + count, 0));
  expect(EXAMPLES.length).toBeGreaterThanOrEqual(60);
  expect(SHOWN.length).toBeGreaterThanOrEqual(1);
});

const RUNNING = [...EXAMPLES, ...SHOWN].filter(({ typesOnly }) => !typesOnly);

describe.concurrent('runs as it stands', () => {
  test.each(RUNNING.map((block) => [block.place, block] as const))('%s', async (_, block) => {
    const { code, stdout, stderr } = await start(join(folder, `out/${moduleName(block)}.js`), emptyFolder())
      .ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.split('\n');
    expect(lines.filter((line) => block.prints.includes(line))).toEqual(block.prints);
  });
});

describe('a program', () => {
  const README = readFileSync(join(ROOT, 'examples/README.md'), 'utf8');

  test.each(PROGRAMS)('%s prints what examples/README.md shows', async (program) => {
    const shown = new RegExp(`^\\$ node ${program.replace('.', '\\.')}\\n(.*?)^\`\`\`$`, 'ms').exec(
      README,
    )?.[1];
    const { code, stdout, stderr } = await start(join(ROOT, program), emptyFolder()).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    // Plain loops round differently, so their texts are others.
    if (native.cpuPath() === 'portable') expect(stdout.split('\n')[0]).toBe(shown?.split('\n')[0]);
    else expect(stdout).toBe(shown);
  });

  test.skipIf(process.platform === 'win32')('train ends at Ctrl-C, saves and goes on', async () => {
    const cwd = emptyFolder();
    for (const first of ['epoch  10', 'going on after epoch']) {
      const { child, printed, ended } = example('train', cwd, 'model', '100000');
      await printed(first);
      child.kill('SIGINT');
      const { code, stderr } = await ended;
      expect(code).toBe(130);
      expect(stderr).toContain('All of it is saved in model.');
    }
  });

  test('stream writes with a model that is there', async () => {
    const cwd = emptyFolder();
    await example('train', cwd, 'model', '10').ended;
    const { code, stdout } = await example('stream', cwd, 'model', '我们').ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^我们.{60}\n$/su);
  });

  test('own-corpus reads a folder', async () => {
    const cwd = emptyFolder();
    mkdirSync(join(cwd, 'lyrics'));
    writeFileSync(join(cwd, 'lyrics/one.txt'), 'the rain on the roof\n'.repeat(10));
    const { code, stdout } = await example('own-corpus', cwd, 'lyrics').ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^lyrics: 210 characters\n/);
  });
});
