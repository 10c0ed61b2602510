/**
 * `--device` from the built addon down to the kernels, on a machine without a GPU: the fake driver of
 * crates/gru-cuda-fake-driver takes the place of NVIDIA's library and runs the kernels on the emulator. Every
 * stage that can fail gives its reason, its code and its exit status.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { type KernelChoice, native } from '../src/native.js';
import { type Finished, folder } from './cli/command.js';
import {
  errorLines,
  installDriver,
  runWithDriver as run,
  SMALL_JOB,
  startWithDriver,
  useFakeDriver,
} from './fake-driver.js';

useFakeDriver((fake) => {
  installDriver('text', Buffer.from('not a library'));
  // A function that is missing: its name in the library's table becomes another one.
  const without = Buffer.from(fake);
  without.write('cuGraphLaunxx\0', without.indexOf('cuGraphLaunch\0'), 'latin1');
  installDriver('incomplete', without);
  // Any library that is no driver.
  const { sharedObjects } = process.report.getReport() as { sharedObjects: string[] };
  installDriver('other', readFileSync(sharedObjects.find((path) => /\/libm[.-]/.test(path)) as string));
});

const JOB = [...SMALL_JOB, '--json'];

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
      gpu: {
        index: 0,
        computeCapability: '8.0',
        cudaVersion: '12.0',
        ptx: 'gru_sm80 + words_fp32_128',
        memoryBytes: 2 ** 30,
      },
      threads: 1,
    });
    const schema = JSON.parse(readFileSync(new URL('../events.schema.json', import.meta.url), 'utf8'));
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);
    for (const event of cuda.events()) expect(validate(event), JSON.stringify(validate.errors)).toBe(true);
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
    expect(texts[0].stderr).toMatch(/^(looking at the GPU…\n)?$/);
    expect(texts[0].code).toBe(0);
    expect(texts[0].stdout).toBe(texts[1].stdout);
    writeFileSync(join(cwd, 'text.txt'), texts[0].stdout.trim());
    const evaluations = await Promise.all([
      on('cuda', 'eval', 'gru-model', 'text.txt', '--json'),
      on('cpu', 'eval', 'gru-model', 'text.txt', '--json'),
    ]);
    const [cuda, cpu] = evaluations.map((result) => result.events()[0]?.perplexity as number);
    expect(cuda).toBeCloseTo(cpu as number, 3);
  }, 120_000);

  test('a run that is stopped inside epochs and resumed ends with the same bytes as one that was not', async () => {
    const cwd = folder();
    const epochs = ['--epochs', '6', '--sampling', 'random'];
    const whole = run(cwd, ['train', '--device', 'cuda', '--out', 'whole', ...JOB, ...epochs]);
    let stops = 0;
    let ended: Finished | undefined;
    while (ended?.code !== 0) {
      const args = ended === undefined ? [...JOB, ...epochs] : ['--resume', '--json'];
      const running = startWithDriver(cwd, ['train', '--device', 'cuda', '--out', 'parts', ...args]);
      if (stops < 3) void running.printed('"type":"epoch"').then(() => running.child.kill('SIGTERM'));
      ended = await running.finished;
      if (ended.code === 0) break;
      expect(ended).toMatchObject({ code: 143 });
      stops += 1;
    }
    expect(stops).toBeGreaterThan(1);
    expect(await whole).toMatchObject({ code: 0 });
    const bytes = (out: string) => readFileSync(join(cwd, out, 'model.safetensors'));
    expect(bytes('parts').equals(bytes('whole'))).toBe(true);
  }, 120_000);
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
  ['devices: NO_DEVICE', 'fake', 'count=0'],
  ['compute capability: TOO_OLD_DEVICE', 'fake', 'capability=7.5'],
  ['context: OUT_OF_MEMORY', 'fake', 'context=2'],
  ['kernels: OUT_OF_MEMORY', 'fake', 'module=2'],
  ['kernels: KERNEL_LOAD_FAILED', 'fake', 'module=fail'],
  ['self-test: OUT_OF_MEMORY', 'fake', 'memory=10000'],
  ['self-test: SELF_TEST_FAILED', 'fake', 'kernel=wrong'],
  ['self-test: OUT_OF_MEMORY', 'fake', 'graph=2'],
  ['self-test: SELF_TEST_FAILED', 'fake', 'launch=fail'],
];

describe.each(STAGES)('where a stage fails: %s (%s %s)', (reason, driver, behaviour) => {
  test('cuda ends with 4, auto goes on with the CPU, doctor says so', async () => {
    const cwd = folder();
    const [cuda, auto, doctor] = await Promise.all([
      run(cwd, ['train', '--device', 'cuda', '--out', 'a', ...JOB], behaviour, { driver }),
      run(cwd, ['train', '--out', 'b', ...JOB], behaviour, { driver }),
      run(cwd, ['doctor', '--json'], behaviour, { driver }),
    ]);
    expect(cuda.code).toBe(4);
    const [cause, remedy] = errorLines(cuda);
    expect(cause).toMatch(/^error: expected .+, received .+/);
    expect(cause).toContain(`(${reason})`);
    expect(remedy).toMatch(/^[A-Z].+--device cpu\.$/);
    const message = cause.slice('error: '.length);
    expect(cuda.events()).toEqual([{ v: 1, type: 'error', code: 'GRU_DEVICE', message, hint: remedy }]);
    expect(auto.code).toBe(0);
    expect(auto.events()[0]).toMatchObject({ device: 'cpu' });
    expect(JSON.stringify(auto.events()[0]?.notices)).toContain(`(${reason})`);
    const { cuda: report } = doctor.events()[0] as { cuda: { stages: Stage[] } };
    const failed = report.stages.find(({ outcome }) => outcome === 'failed');
    expect(`${failed?.name}: ${failed?.reason}`).toBe(reason);
  });
});

test('a GPU number that is not there is refused', async () => {
  const result = await run(folder(), ['train', '--device', 'cuda:3']);
  expect(result.code).toBe(4);
  expect(result.stderr).toMatch(/expected a device number .*received 3 \(device: NO_SUCH_DEVICE\)/);
});

describe('--precision on a GPU', () => {
  const first = (result: Finished) => result.events()[0];
  const perplexities = ({ events }: Finished) =>
    events().flatMap((event) => (event.type === 'epoch' ? [event.perplexity as number] : []));

  test.each(['capability=8.0', 'capability=9.0,version=12010'])(
    'trains with each: %s',
    async (behaviour) => {
      const cwd = folder();
      const all = ['fp32', 'tf32', 'bf16'];
      const log = (name: string) => join(cwd, `${name}.log`);
      const train = (precision: string, device: string) => {
        const name = device + precision;
        const args = ['train', '--device', device, '--precision', precision, '--out', name, ...JOB];
        return run(cwd, args, `${behaviour},log=${log(name)}`);
      };
      const [fp32, tf32, bf16, auto] = await Promise.all([
        ...all.map((precision) => train(precision, 'cuda')),
        train('tf32', 'auto'),
      ]);
      const exchange = behaviour.includes('9.0') ? 'cluster' : 'words';
      const loaded = (precision: string) =>
        [
          'gru_sm80',
          ...(precision === 'fp32' ? [] : [`products_${precision}`]),
          `${exchange}_${precision}_\\d+`,
        ].join(' \\+ ');
      for (const [index, result] of [fp32, tf32, bf16].entries()) {
        expect(result).toMatchObject({ code: 0 });
        expect(first(result as Finished)).toMatchObject({
          device: 'cuda:0',
          precision: all[index],
          gpu: { ptx: expect.stringMatching(`^${loaded(all[index] as string)}$`) },
        });
      }
      // The persistent kernels that ran, in the self-test too: those of this precision alone.
      for (const precision of all) {
        const ran = readFileSync(log(`cuda${precision}`), 'utf8');
        const persistent = new Set(ran.match(/^runs (forward|backward)_[a-z]+_[a-z0-9]+/gm));
        const names = ['forward', 'backward'].map((way) => `runs ${way}_${exchange}_${precision}`);
        expect(persistent).toEqual(new Set(names));
      }
      const exact = perplexities(fp32 as Finished);
      expect(exact).toHaveLength(2);
      // Rounding to 11 and to 8 bits changes a little, over two epochs of a tiny network.
      for (const [result, bound] of [
        [tf32, 0.01],
        [bf16, 0.05],
      ] as const) {
        perplexities(result as Finished).forEach((value, epoch) => {
          expect(Math.abs(value / (exact[epoch] as number) - 1)).toBeLessThan(bound);
        });
      }
      expect(perplexities(auto as Finished)).toEqual(perplexities(tf32 as Finished));
    },
    120_000,
  );

  test('products that do not load end the run, and no others stand in for them', async () => {
    const args = ['train', '--device', 'cuda', '--precision', 'bf16', ...JOB];
    const result = await run(folder(), args, 'module=fail-after-1');
    expect(result.code).toBe(4);
    expect(errorLines(result)[0]).toMatch(/expected the driver to load products_bf16, .*KERNEL_LOAD_FAILED/);
  });

  test('a run goes on with the precision that it began with', async () => {
    const cwd = folder();
    const behaviour = 'capability=9.0,version=12010';
    const begun = ['train', '--precision', 'tf32', ...JOB, '--epochs', '1'];
    expect(await run(cwd, begun, behaviour)).toMatchObject({ code: 0 });
    const resumed = await run(cwd, ['train', '--resume', '--epochs', '2', '--json'], behaviour);
    expect(resumed).toMatchObject({ code: 0 });
    expect(first(resumed)).toMatchObject({ device: 'cuda:0', precision: 'tf32', epochsDone: 1 });
  }, 120_000);

  test('bf16 that no GPU can do is for the CPU, tf32 is an error', async () => {
    const cwd = folder();
    const env = { GRU_NATIVE_CPU: 'portable-bf16' };
    const [bf16, tf32] = await Promise.all([
      run(cwd, ['train', '--precision', 'bf16', '--out', 'a', ...JOB], 'devices=0', { env }),
      run(cwd, ['train', '--precision', 'tf32', '--out', 'b', ...JOB], 'devices=0'),
    ]);
    expect(bf16.code).toBe(0);
    expect(first(bf16)).toMatchObject({ device: 'cpu', cpuPath: 'portable-bf16', precision: 'bf16' });
    expect(JSON.stringify(first(bf16)?.notices)).toContain('running on the CPU, no GPU can be used: ');
    expect(tf32.code).toBe(4);
    expect(errorLines(tf32)[1]).toMatch(/tf32 needs a GPU; to do without: --device cpu --precision fp32\.$/);
  });

  test('a GPU does not give the bits of the portable path', async () => {
    const result = await run(folder(), ['train', '--device', 'cuda', '--precision', 'fp32-exact', ...JOB]);
    expect(result.code).toBe(2);
    expect(errorLines(result).join()).toMatch(/fp32, tf32 or bf16 .*received fp32-exact.*portable path; use/);
  });
});

test('doctor --kernels asks the GPU how much it holds at once', async () => {
  const rows = async (behaviour: string) => {
    const result = await run(folder(), ['doctor', '--kernels', '--json'], behaviour);
    const { kernels } = result.events()[0] as { kernels: KernelChoice[] };
    return kernels;
  };
  const cluster = ({ oldestCapability, way }: KernelChoice) =>
    oldestCapability === '9.0' && way === 'cluster';
  const asked = await rows('capability=9.0,version=12010,clusters=7');
  expect(asked.filter(cluster).length).toBeGreaterThan(3);
  for (const { oldestCapability, way, groupsAtOnce, registers } of asked) {
    expect(registers).toEqual(oldestCapability === '9.0' ? [32, 32] : undefined);
    expect(groupsAtOnce).toEqual(oldestCapability === '9.0' && way === 'cluster' ? [7, 7] : undefined);
  }
  // Where the GPU at hand holds none, its blocks exchange by words; of another generation nothing is told.
  const without = await rows('capability=9.0,version=12010,clusters=0');
  expect(without.filter(cluster)).toEqual([]);
  expect(
    without.filter(({ way, groupsAtOnce }) => way === 'words' && groupsAtOnce !== undefined),
  ).not.toEqual([]);
  const older = await rows('capability=8.6');
  expect(older.filter(cluster)).toHaveLength(asked.filter(cluster).length);
  for (const { oldestCapability, registers, blocks, groupsAtOnce } of older) {
    expect(registers !== undefined).toBe(oldestCapability === '8.6');
    // The stand-in holds a block on each of its 108 multiprocessors.
    const groups = Math.floor(108 / (blocks ?? 1));
    if (oldestCapability === '8.6' && blocks) expect(groupsAtOnce).toEqual([groups, groups]);
  }
  expect(await rows('init=crash')).toEqual(native.kernelChoices(false));
}, 120_000);

test('auto says why it takes the CPU for an arithmetic that the kernels do not have', async () => {
  const result = await run(folder(), ['train', '--precision', 'fp32-exact', ...JOB]);
  expect(result.code).toBe(0);
  expect(result.events()[0]).toMatchObject({ device: 'cpu', precision: 'fp32-exact' });
  expect(result.events()[0]?.notices).toContain('running on the CPU: the CUDA kernels have no fp32-exact');
});
