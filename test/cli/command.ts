/** Runs the built command line in a folder of its own, as a user would. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');

/** What a finished command left. */
export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The lines of stdout as JSON. */
  events: () => Record<string, unknown>[];
}

/** An empty folder, removed when the test ends. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'gru-native-cli-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A command that is running. */
export interface Running {
  child: ChildProcess;
  finished: Promise<Finished>;
  /** Resolves when stdout holds the text. */
  printed: (text: string) => Promise<void>;
  /** Resolves when stderr holds the text. */
  told: (text: string) => Promise<void>;
}

/** Starts `gru-native ...args` in `cwd`; `input` goes to its stdin, which null leaves open; `program` replaces the entry point. */
export function start(
  cwd: string,
  args: readonly string[],
  input: string | null = '',
  env: NodeJS.ProcessEnv = {},
  program: readonly string[] = [MAIN],
): Running {
  const child = spawn(process.execPath, [...program, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const look of waiting) look();
  };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    wake();
  });
  child.stdin.on('error', () => {}); // the command may end before it reads
  if (input !== null) child.stdin.end(input);
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => {
      const events = () =>
        stdout
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line));
      resolve({ code, stdout, stderr, events });
    });
  });
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (holds()) resolve();
      };
      waiting.push(look);
      look();
    });
  const printed = (text: string) => until(() => stdout.includes(text));
  const told = (text: string) => until(() => stderr.includes(text));
  return { child, finished, printed, told };
}

/** Runs a command to its end. */
export function run(cwd: string, ...args: string[]): Promise<Finished> {
  return start(cwd, args).finished;
}

/** Options of a run that takes a moment. */
export const SMALL = [
  '--hidden-size',
  '16',
  '--max-chars',
  '600',
  '--batch-size',
  '4',
  '--num-steps',
  '8',
  '--sample-length',
  '5',
];
