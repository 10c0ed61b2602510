/**
 * `--device` from the built addon down to the kernels, on a machine without a GPU: the fake driver of
 * crates/gru-cuda-fake-driver takes the place of NVIDIA's library and runs the kernels on the emulator. Every
 * stage that can fail gives its reason, its code and its exit status.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Finished, folder, start } from './cli/command.js';

/** A folder for each library that takes the driver's place. */
const libraries = mkdtempSync(join(tmpdir(), 'gru-native-driver-'));

/** Puts bytes where the driver is looked for, and gives the folder. */
function library(name: string, bytes: Uint8Array): string {
  const path = join(libraries, name);
  mkdirSync(path);
  writeFileSync(join(path, 'libcuda.so.1'), bytes);
  return path;
}

beforeAll(() => {
  const args = ['build', '--locked', '--package', 'gru-cuda-fake-driver', '--lib', '--message-format=json'];
  const messages = execFileSync('cargo', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 2 ** 26,
  });
  const built = messages
    .split('\n')
    .filter((line) => line.includes('"compiler-artifact"'))
    .flatMap((line) => (JSON.parse(line) as { filenames: string[] }).filenames)
    .find((file) => file.endsWith('libfake_cuda.so'));
  if (built === undefined) throw new Error('cargo built no libfake_cuda.so');
  const fake = readFileSync(built);
  library('fake', fake);
  library('text', Buffer.from('not a library'));
  // A function that is missing: its name in the library's table becomes another one.
  const without = Buffer.from(fake);
  without.write('cuGraphLaunxx\0', without.indexOf('cuGraphLaunch\0'), 'latin1');
  library('incomplete', without);
  // Any library that is no driver.
  const { sharedObjects } = process.report.getReport() as { sharedObjects: string[] };
  const other = sharedObjects.find((path) => /\/libm[.-]/.test(path)) as string;
  mkdirSync(join(libraries, 'other'));
  copyFileSync(other, join(libraries, 'other', 'libcuda.so.1'));
}, 600_000);

afterAll(() => rmSync(libraries, { recursive: true, force: true }));

/** Runs a command with that library as the driver, which is told how to behave. */
function run(cwd: string, args: readonly string[], driver = 'fake', behaviour = ''): Promise<Finished> {
  const env = { LD_LIBRARY_PATH: join(libraries, driver), GRU_FAKE_DRIVER: behaviour, GRU_NATIVE_CACHE: cwd };
  return start(cwd, args, '', env).finished;
}

const JOB = [
  ...[
    '--hidden-size',
    '20',
    '--batch-size',
    '3',
    '--num-steps',
    '4',
    '--max-chars',
    '120',
    '--report-every',
    '2',
  ],
  ...['--sample-length', '6', '--init-scale', '0.1', '--epochs', '2', '--json'],
];

describe('on the emulated GPU', () => {
  test('trains like the CPU, tells what it runs on, and repeats itself bit for bit', async () => {
    const cwd = folder();
    const [cuda, again, cpu] = await Promise.all([
      run(cwd, ['train', '--device', 'cuda', '--out', 'a', ...JOB]),
      run(cwd, ['train', '--device', 'auto', '--out', 'b', ...JOB]),
      run(cwd, ['train', '--device', 'cpu', '--out', 'c', ...JOB]),
    ]);
    expect(cuda).toMatchObject({ code: 0 });
    expect(cuda.events()[0]).toMatchObject({
      device: 'cuda:0',
      gpu: { index: 0, computeCapability: '8.0', driver: '12.0', ptx: 'gru_sm80', memoryBytes: 2 ** 30 },
      threads: 1,
    });
    const perplexities = ({ events }: Finished) =>
      events().flatMap((event) => (event.type === 'epoch' ? [event.perplexity as number] : []));
    const [exact, computed] = [perplexities(cpu), perplexities(cuda)];
    expect(exact).toHaveLength(2);
    computed.forEach((value, epoch) => {
      expect(Math.abs(value / (exact[epoch] as number) - 1)).toBeLessThan(1e-5);
    });
    expect(perplexities(again)).toEqual(computed);
    const weights = (out: string) => readFileSync(join(cwd, out, 'model.safetensors')).subarray(-2000);
    expect(weights('b').equals(weights('a'))).toBe(true);
  }, 120_000);

  test('a model trained on one device writes and evaluates the same on the other', async () => {
    const cwd = folder();
    expect(await run(cwd, ['train', '--device', 'cuda', ...JOB])).toMatchObject({ code: 0 });
    const on = (device: string, ...args: string[]) => run(cwd, [...args, '--device', device]);
    const generate = ['generate', '--temperature', '0', '--length', '40'];
    const texts = await Promise.all([on('cuda', ...generate), on('cpu', ...generate)]);
    expect(texts[0]).toMatchObject({ code: 0, stderr: '' });
    expect(texts[0].stdout).toBe(texts[1].stdout);
    writeFileSync(join(cwd, 'text.txt'), texts[0].stdout.trim());
    const evaluations = await Promise.all([
      on('cuda', 'eval', 'gru-model', 'text.txt', '--json'),
      on('cpu', 'eval', 'gru-model', 'text.txt', '--json'),
    ]);
    const [cuda, cpu] = evaluations.map((result) => result.events()[0]?.perplexity as number);
    expect(cuda).toBeCloseTo(cpu as number, 3);
  }, 120_000);

  test('doctor shows every stage', async () => {
    const result = await run(folder(), ['doctor']);
    expect(result.stdout).toMatch(/CUDA +available: driver for CUDA 12\.0, kernels gru_sm80/);
    expect(result.stdout).toMatch(/self-test +relative error/);
    expect(result.stdout).toMatch(/training runs here, on the GPU/);
    const [json] = (await run(folder(), ['doctor', '--json'], 'fake', 'capability=7.5/8.6')).events();
    expect(json).toMatchObject({
      cuda: {
        available: true,
        devices: [{ computeCapability: '7.5' }, { index: 1, computeCapability: '8.6' }],
      },
    });
  });

  test('a network that the memory cannot hold is refused with what would fit', async () => {
    const args = ['train', '--device', 'cuda', '--hidden-size', '512', '--batch-size', '64', '--epochs', '1'];
    const result = await run(folder(), args, 'fake', 'memory=80000000');
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toMatch(
      /expected \d+ bytes of free device memory, received \d+; a batch_size of \d+ would fit/,
    );
  });
});

/** What doctor tells of a stage. */
interface Stage {
  name: string;
  outcome: string;
  reason?: string;
}

const STAGES: [reason: string, driver: string, behaviour: string][] = [
  ['driver library: NO_DRIVER', 'text', ''],
  ['driver version: BAD_DRIVER', 'other', ''],
  ['driver functions: BAD_DRIVER', 'incomplete', ''],
  ['driver version: DRIVER_TOO_OLD', 'fake', 'version=11020'],
  ['initialisation: INIT_FAILED', 'fake', 'init=999'],
  ['initialisation: STUB_LIBRARY', 'fake', 'init=34'],
  ['initialisation: NO_DEVICE', 'fake', 'devices=0'],
  ['compute capability: TOO_OLD_DEVICE', 'fake', 'capability=7.5'],
  ['kernels: OUT_OF_MEMORY', 'fake', 'context=2'],
  ['kernels: KERNEL_LOAD_FAILED', 'fake', 'module=fail'],
  ['self-test: OUT_OF_MEMORY', 'fake', 'memory=10000'],
  ['self-test: SELF_TEST_FAILED', 'fake', 'kernel=wrong'],
  ['self-test: SELF_TEST_FAILED', 'fake', 'launch=fail'],
];

describe.each(STAGES)('where a stage fails: %s (%s %s)', (reason, driver, behaviour) => {
  test('cuda ends with 4, auto goes on with the CPU, doctor says so', async () => {
    const cwd = folder();
    const [cuda, auto, doctor] = await Promise.all([
      run(cwd, ['train', '--device', 'cuda', '--out', 'a', ...JOB.slice(0, -1)], driver, behaviour),
      run(cwd, ['train', '--out', 'b', ...JOB], driver, behaviour),
      run(cwd, ['doctor', '--json'], driver, behaviour),
    ]);
    expect(cuda).toMatchObject({ code: 4, stdout: '' });
    const lines = cuda.stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^error: expected .+, received .+/);
    expect(lines[0]).toContain(`(${reason})`);
    expect(lines[1]).toMatch(/^[A-Z].+--device cpu\.$/);
    expect(auto.code).toBe(0);
    expect(auto.events()[0]).toMatchObject({ device: 'cpu' });
    expect(JSON.stringify(auto.events()[0]?.notices)).toContain(`(${reason})`);
    const { cuda: report } = doctor.events()[0] as { cuda: { stages: Stage[] } };
    const failed = report.stages.find(({ outcome }) => outcome === 'failed');
    expect(`${failed?.name}: ${failed?.reason}`).toBe(reason);
  });
});

test('a GPU number that is not there is refused', async () => {
  const result = await run(folder(), ['train', '--device', 'cuda:3'], 'fake');
  expect(result.code).toBe(4);
  expect(result.stderr).toMatch(/expected a device number .*received 3 \(device: NO_SUCH_DEVICE\)/);
});

test('doctor outlives a driver that crashes', async () => {
  const result = await run(folder(), ['doctor'], 'fake', 'init=crash');
  expect(result.code).toBe(0);
  expect(result.stdout).toMatch(/CUDA +not available: driver: CRASHED/);
  expect(result.stdout).toMatch(/training runs here, on the CPU/);
});
