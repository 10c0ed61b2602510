/** Signals to a training run: how soon it stops, the second one, and the one that only saves. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readResumePoint } from '../../src/checkpoint.js';
import { folder, run, SMALL, start } from './command.js';

const unix = process.platform !== 'win32';
/** A run that goes on until it is stopped. */
const ENDLESS = ['--epochs', '100000', '--report-every', '100000'];

test.skipIf(!unix)("at the chapter's sizes a run has saved and ended within a second", async () => {
  // The best of three: the second is a promise for a machine that has nothing else to do.
  const seconds: number[] = [];
  for (let attempt = 0; attempt < 3 && !(Math.min(...seconds) < 1); attempt++) {
    const running = start(folder(), ['train', '--device', 'cpu', '--json', '--max-chars', 'all', ...ENDLESS]);
    await running.printed('"type":"epoch"');
    const before = performance.now();
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 143 });
    seconds.push((performance.now() - before) / 1000);
  }
  expect(Math.min(...seconds)).toBeLessThan(1);
});

test.skipIf(!unix)('the second signal ends a run at once, whatever it is doing', async () => {
  const cwd = folder();
  // One update of this size takes seconds.
  const huge = ['--hidden-size', '1024', '--batch-size', '64', '--num-steps', '512', '--max-chars', '40000'];
  writeFileSync(join(cwd, 'text.txt'), '春眠不觉晓 处处闻啼鸟 '.repeat(4000));
  const running = start(cwd, ['train', 'text.txt', '--device', 'cpu', '--threads', '1', ...huge, ...ENDLESS]);
  await running.told('parameters');
  running.child.kill('SIGINT');
  await running.told('once more: stop at once');
  const before = performance.now();
  running.child.kill('SIGINT');
  expect(await running.finished).toMatchObject({ code: 130 });
  expect(performance.now() - before).toBeLessThan(1000);
});

test.skipIf(!unix)('SIGUSR2 saves and goes on; the run ends as if it had not', async () => {
  const cwd = folder();
  const options = ['--epochs', '400', '--report-every', '400', ...SMALL];
  const running = start(cwd, ['train', '--json', '--out', 'asked', ...options]);
  await running.printed('"epoch":2,');
  running.child.kill('SIGUSR2');
  await running.printed('"type":"checkpoint"');
  const point = await readResumePoint(join(cwd, 'asked'));
  expect(point.metadata.trainer.position.epochs).toBeGreaterThan(1);
  const ended = await running.finished;
  expect(ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') });
  expect(ended.events().filter(({ type }) => type === 'checkpoint')).toHaveLength(2);
  expect(await run(cwd, 'train', '--out', 'direct', ...options)).toMatchObject({ code: 0 });
  const bytes = (name: string) => readFileSync(join(cwd, name, 'model.safetensors'));
  expect(bytes('asked').equals(bytes('direct'))).toBe(true);
});

/** Whether a process handles SIGUSR2: bit 11 of the mask of signals that it catches. */
function catchesSigusr2(pid: number | undefined): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (BigInt(`0x${mask}`) & (1n << 11n)) !== 0n;
}

const linux = process.platform === 'linux';
test.skipIf(!linux)('SIGUSR2 before the first update does not end the process', async () => {
  const running = start(folder(), ['train', '-', '--out', 'out', '--epochs', '1', ...SMALL], null);
  while (!catchesSigusr2(running.child.pid)) await setTimeout(20);
  running.child.kill('SIGUSR2');
  running.child.stdin?.end('春眠不觉晓\n处处闻啼鸟\n'.repeat(60));
  expect(await running.finished).toMatchObject({ code: 0 });
});

test.skipIf(!unix)(
  'two processes on one directory: the second is refused, and can go on when the first was killed',
  async () => {
    const cwd = folder();
    const first = start(cwd, [
      'train',
      '--json',
      '--out',
      'out',
      ...ENDLESS,
      '--checkpoint-every',
      '1',
      ...SMALL,
    ]);
    await first.printed('"type":"checkpoint"');
    for (const how of [['--resume'], ['--overwrite', ...SMALL]]) {
      const second = await run(cwd, 'train', '--out', 'out', ...how);
      expect(second).toMatchObject({ code: 2, stdout: '' });
      expect(second.stderr).toMatch(
        new RegExp(
          `^error: expected an output directory that no other run writes to, received out, which process ${first.child.pid} on .* holds\nWait until `,
        ),
      );
    }
    first.child.kill('SIGKILL');
    await first.finished;
    expect(await run(cwd, 'train', '--out', 'out', '--resume', '--epochs', '1')).toMatchObject({ code: 0 });
  },
);
