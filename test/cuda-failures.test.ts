/** What a run on a GPU fails at: memory that is too small, and a device that breaks while it computes. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Finished, folder } from './cli/command.js';
import { errorLines, nodeWithDriver, runWithDriver as run, SMALL_JOB, useFakeDriver } from './fake-driver.js';

useFakeDriver();

const JOB = [...SMALL_JOB, '--json'];

/** The code of the error event. */
const codeOf = (result: Finished) => result.events().find(({ type }) => type === 'error')?.code;

describe('memory that is too small', () => {
  /** A text of two million characters: 8 MB of ids on the GPU, far more than a small network. */
  const longText = (cwd: string) => writeFileSync(join(cwd, 'long.txt'), 'a rose is a rose '.repeat(120_000));
  const LONG = ['long.txt', ...JOB, '--max-chars', 'all', '--epochs', '0', '--prefix', 'a'];

  test('for the network: the option that makes it fit, and it does', async () => {
    const cwd = folder();
    const train = (...args: string[]) =>
      run(cwd, ['train', '--device', 'cuda', '--overwrite', '--epochs', '0', ...args], 'memory=140000000');
    const sizes = ['--hidden-size', '512', '--batch-size', '256'];
    const result = await train(...sizes, '--json');
    expect(result.code).toBe(1);
    expect(codeOf(result)).toBe('GRU_OUT_OF_MEMORY');
    const [cause, remedy] = errorLines(result);
    expect(cause).toMatch(/^error: expected \d+ bytes of free device memory, received 140000000$/);
    const [, batchSize] = /^Use --batch-size (\d+) or less, .*--device cpu\.$/.exec(remedy) ?? [];
    expect(Number(batchSize)).toBeGreaterThan(0);
    expect((await train(...sizes, '--batch-size', String(Number(batchSize) + 1))).code).toBe(1);
    expect((await train(...sizes, '--batch-size', String(batchSize))).code).toBe(0);
  }, 60_000);

  test('for the corpus: how much of it fits; auto goes on with the CPU', async () => {
    const cwd = folder();
    longText(cwd);
    const memory = 'memory=72000000'; // the margin, the network and a million characters
    const [cuda, auto] = await Promise.all([
      run(cwd, ['train', '--device', 'cuda', '--out', 'a', ...LONG], memory),
      run(cwd, ['train', '--out', 'b', ...LONG], memory),
    ]);
    expect(cuda.code).toBe(1);
    expect(codeOf(cuda)).toBe('GRU_OUT_OF_MEMORY');
    const [, characters] = /^Use --max-chars (\d+) or fewer, /.exec(errorLines(cuda)[1]) ?? [];
    expect(Number(characters)).toBeGreaterThan(500_000);
    const fitting = [...LONG, '--max-chars', String(characters), '--out', 'c'];
    expect(await run(cwd, ['train', '--device', 'cuda', ...fitting], memory)).toMatchObject({ code: 0 });
    expect(auto.code).toBe(0);
    expect(auto.events()[0]).toMatchObject({ device: 'cpu' });
    const { notices: all } = auto.events()[0] as { notices: string[] };
    const notices = all.filter((notice) => notice.includes('CPU'));
    expect(notices).toHaveLength(1);
    expect(notices[0]).toMatch(/^running on the CPU, the GPU's memory is too small: expected \d+ bytes/);
  }, 60_000);

  test('on one GPU: the next that has enough is taken', async () => {
    const behaviour = 'devices=2,memory=68000000/1000000000';
    const result = await run(folder(), ['train', ...JOB, '--hidden-size', '200'], behaviour);
    expect(result.code).toBe(0);
    expect(result.events()[0]).toMatchObject({ device: 'cuda:1' });
  });

  test('for a corpus that counted as fitting: auto goes on with the CPU all the same', async () => {
    const cwd = folder();
    longText(cwd);
    const [cuda, auto] = await Promise.all([
      run(cwd, ['train', '--device', 'cuda', '--out', 'a', ...LONG], 'largest=4000000'),
      run(cwd, ['train', '--out', 'b', ...LONG], 'largest=4000000'),
    ]);
    expect(cuda.code).toBe(1);
    expect(codeOf(cuda)).toBe('GRU_OUT_OF_MEMORY');
    expect(errorLines(cuda)[0]).toMatch(/expected device memory for \d+ bytes in one piece, received none/);
    expect(auto.code).toBe(0);
    expect(auto.events()[0]).toMatchObject({ device: 'cpu' });
  }, 60_000);

  test('for a corpus that a network was not told of, or was told of before it came', async () => {
    const script = `
      const [short, long] = [100, 3_000_000].map((length) => new Uint32Array(length));
      const network = new Network({ ...sizes, device: 'cuda' });
      (async () => {
        console.log(await failure(network.loadCorpus(short)));
        console.log(await network.loadCorpus(long).catch((error) => error.code + ' ' + error.message));
        console.log(await failure(network.loadCorpus(short)));
        const told = new Network({ ...sizes, device: 'cuda', corpusLength: long.length });
        console.log(await told.ready().catch((error) => error.code + ' ' + error.message));
      })();
    `;
    const output = await nodeWithDriver(script, 'memory=76000000');
    const refused = String.raw`GRU_OUT_OF_MEMORY expected \d+ bytes of free device memory, received \d+\nUse --max-chars \d+ or fewer, .*\.\n`;
    expect(output).toMatch(new RegExp(`^done\n${refused}done\n${refused}$`));
  });

  test('for a graph: what was being made, and what to do', async () => {
    // The first graph is the self-test's.
    const result = await run(folder(), ['train', '--device', 'cuda', ...JOB], 'graph=2-after-1');
    expect(result.code).toBe(1);
    expect(codeOf(result)).toBe('GRU_OUT_OF_MEMORY');
    const [cause, remedy] = errorLines(result);
    expect(cause).toMatch(
      /expected device memory for a graph of \d+ launches, received none with \d+ bytes free/,
    );
    expect(remedy).toMatch(/^Use a smaller --num-steps/);
  });
});

describe('a GPU that breaks while it computes', () => {
  test('ends the run with a code of its own and the command that goes on', async () => {
    const cwd = folder();
    const args = ['train', '--device', 'cuda', '--out', 'my run', ...JOB, '--epochs', '50'];
    const result = await run(cwd, args, 'launch=fail-after-6');
    expect(result.code).toBe(1);
    expect(codeOf(result)).toBe('GRU_DEVICE_FAULT');
    expect(result.events().filter(({ type }) => type === 'checkpoint').length).toBeGreaterThan(0);
    const [cause, remedy] = errorLines(result);
    expect(cause).toMatch(
      /^error: expected the device to start graph \d+, received: CUDA_ERROR_LAUNCH_FAILED \(719\)/,
    );
    expect(remedy).toBe(
      'The device takes no more work from this process: start again; report it if it comes back. ' +
        "Go on from the last checkpoint with: npx gru-native train --resume --out 'my run' --device cuda",
    );
    const resumed = await run(cwd, [
      'train',
      '--resume',
      '--out',
      'my run',
      '--device',
      'cuda',
      '--epochs',
      '6',
    ]);
    expect(resumed.code).toBe(0);
  }, 60_000);

  test('says so where there is nothing to go on from', async () => {
    const args = ['train', '--device', 'cuda', ...JOB, '--report-every', '50', '--epochs', '50'];
    const result = await run(folder(), args, 'launch=fail-after-3');
    expect(result.code).toBe(1);
    expect(codeOf(result)).toBe('GRU_DEVICE_FAULT');
    expect(errorLines(result)[1]).toMatch(/Nothing was saved yet\.$/);
  });
});
