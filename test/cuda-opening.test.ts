/**
 * The way to a GPU as a user meets it: it is looked for beside the event loop, one device after the other, and a
 * driver that hangs or crashes holds nothing up.
 */

import { expect, test } from 'vitest';
import { folder } from './cli/command.js';
import {
  errorLines,
  nodeWithDriver,
  runWithDriver as run,
  SMALL_JOB,
  startWithDriver,
  useFakeDriver,
} from './fake-driver.js';

useFakeDriver();

/** A stage may take so many seconds: enough for the emulator on a busy machine, little to wait for. */
const PATIENCE = { env: { GRU_NATIVE_GPU_PATIENCE: '4' } };

const JOB = [...SMALL_JOB, '--json'];

interface Stage {
  name: string;
  outcome: string;
  reason?: string;
}

test.each([
  ['initialisation', 'init=hang'],
  ['context', 'context=hang'],
  ['kernels', 'module=hang'],
])(
  'a driver that hangs at %s is given up there',
  async (stage, behaviour) => {
    const cwd = folder();
    const began = performance.now();
    const [cuda, auto, doctor] = await Promise.all([
      run(cwd, ['train', '--device', 'cuda', '--out', 'a', ...JOB], behaviour, PATIENCE),
      run(cwd, ['train', '--out', 'b', ...JOB], behaviour, PATIENCE),
      run(cwd, ['doctor', '--json'], behaviour, PATIENCE),
    ]);
    expect(performance.now() - began).toBeLessThan(20_000);
    const words = `expected an answer of the driver within 4 s, received none (${stage}: TIMED_OUT)`;
    expect(cuda.code).toBe(4);
    expect(errorLines(cuda)[0]).toBe(`error: ${words}`);
    expect(cuda.events()).toMatchObject([{ code: 'GRU_DEVICE' }]);
    expect(auto.code).toBe(0);
    expect(auto.events()[0]).toMatchObject({ device: 'cpu' });
    expect(auto.events()[0]?.notices).toContain(`running on the CPU, no GPU can be used: ${words}`);
    // What is waited for is told once, on a terminal or not.
    expect(auto.stderr).toBe('looking at the GPU…\n');
    const [{ cuda: report }] = doctor.events() as [{ cuda: { available: boolean; stages: Stage[] } }];
    expect(report.available).toBe(false);
    expect(report.stages.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      name: stage,
      reason: 'TIMED_OUT',
    });
  },
  60_000,
);

test('doctor gives up a driver that stops its process, and outlives one that crashes', async () => {
  const env = { GRU_NATIVE_GPU_PATIENCE: '0.5' };
  const stopped = await run(folder(), ['doctor'], 'init=stop', { env });
  expect(stopped.code).toBe(0);
  expect(stopped.stdout).toMatch(/CUDA +not available: driver: TIMED_OUT/);
  expect(stopped.stdout).toMatch(/expected an answer within 6 s, received none/);
  expect(stopped.stderr).toBe('looking at the GPU…\n');
  const crashed = await run(folder(), ['doctor'], 'init=crash');
  expect(crashed.code).toBe(0);
  expect(crashed.stdout).toMatch(/CUDA +not available: driver: CRASHED/);
  expect(crashed.stdout).toMatch(/training runs here, on the CPU/);
}, 60_000);

test.each([
  ['SIGINT', 130, ['train', ...JOB]],
  ['SIGTERM', 143, ['train', '--device', 'cuda', ...JOB]],
] as const)('%s while a GPU is opened answers at once', async (signal, code, args) => {
  const running = startWithDriver(folder(), args, 'context=hang');
  await running.told('looking at the GPU…');
  const asked = performance.now();
  running.child.kill(signal);
  const stopped = await running.finished;
  expect(performance.now() - asked).toBeLessThan(1000);
  expect(stopped.code).toBe(code);
  expect(stopped.stderr).toBe(
    'looking at the GPU…\nstopped on request while the GPU was being opened\nNothing was trained yet.\n',
  );
  expect(stopped.events()).toMatchObject([{ type: 'error', code: 'GRU_INTERRUPTED' }]);
});

test('a network opens its GPU beside the event loop; its first calls wait', async () => {
  const script = `
    const network = new Network({ ...sizes, device: 'cuda' });
    console.log(network.device, network.gpu, network.threads, network.cpuPath);
    network.initialize(1, 0.1)
      .then(() => network.ready())
      .then(() => console.log(network.device, network.gpu.name, network.gpu.cudaVersion, network.threads));
  `;
  expect(await nodeWithDriver(script, '')).toBe('cuda null 1 null\ncuda:0 fake GPU 0 12.0 1\n');
});

test('a network whose driver hangs leaves the event loop free, rejects, and can be disposed of', async () => {
  const script = `
    let ticks = 0;
    const ticking = setInterval(() => (ticks += 1), 10);
    const began = performance.now();
    const network = new Network({ ...sizes, device: 'cuda:0' });
    console.log(performance.now() - began < 1000);
    Promise.all([failure(network.ready()), failure(network.parameters())]).then(async (codes) => {
      console.log(...codes, ticks > 20, await failure(network.ready()));
      const other = new Network({ ...sizes, device: 'cuda' });
      const asked = performance.now();
      const waiting = failure(other.ready());
      setTimeout(() => other.dispose(), 100);
      console.log(await waiting, performance.now() - asked < 900);
      clearInterval(ticking);
    });
  `;
  const output = await nodeWithDriver(script, 'context=hang', { GRU_NATIVE_GPU_PATIENCE: '1' });
  expect(output).toBe('true\nGRU_DEVICE GRU_DEVICE true GRU_DEVICE\nGRU_DISPOSED true\n');
});

test('sizes that no GPU can index are refused before one is looked for', async () => {
  const script = `
    try { new Network({ ...sizes, batchSize: 100_000, numSteps: 100, device: 'cuda' }); }
    catch (error) { console.log(error.code); }
  `;
  expect(await nodeWithDriver(script, 'context=hang')).toBe('GRU_USAGE\n');
});

test('the first GPU for which every stage passes is taken, and doctor tells of each', async () => {
  const cwd = folder();
  const behaviour = 'devices=4,context=46/0,kernel=right/wrong/right';
  const [auto, first, json, doctor] = await Promise.all([
    run(cwd, ['train', '--out', 'a', ...JOB], behaviour),
    run(cwd, ['train', '--device', 'cuda:0', '--out', 'b', ...JOB], behaviour),
    run(cwd, ['doctor', '--json'], behaviour),
    run(cwd, ['doctor'], behaviour),
  ]);
  expect(auto.code).toBe(0);
  expect(auto.events()[0]).toMatchObject({ device: 'cuda:2', gpu: { index: 2, name: 'fake GPU 2' } });
  expect(first.code).toBe(4);
  expect(errorLines(first)[0]).toContain('(context: INIT_FAILED)');
  const [{ cuda }] = json.events() as [
    { cuda: { available: boolean; chosen: number; stages: Stage[]; devices: { stages: Stage[] }[] } },
  ];
  expect(cuda).toMatchObject({ available: true, chosen: 2 });
  expect(cuda.stages.every(({ outcome }) => outcome === 'passed')).toBe(true);
  const failures = cuda.devices.map(({ stages }) => stages.find(({ outcome }) => outcome === 'failed'));
  expect(failures.map((stage) => stage?.reason)).toEqual([
    'INIT_FAILED',
    'SELF_TEST_FAILED',
    undefined,
    undefined,
  ]);
  expect(cuda.devices.map(({ stages }) => stages.length)).toEqual([5, 5, 5, 0]);
  expect(doctor.stdout).toMatch(/CUDA +available: cuda:2, .*for up to CUDA 12\.0, kernels gru_sm80/);
  expect(doctor.stdout).toMatch(/ {2}cuda:0 +fake GPU 0, .*, not usable\n/);
  expect(doctor.stdout).toMatch(/ {4}context +INIT_FAILED: expected/);
  expect(doctor.stdout).toMatch(/ {4}kernels +not reached/);
  expect(doctor.stdout).toMatch(/ {4}self-test +relative error/);
  expect(doctor.stdout).toMatch(/ {2}cuda:3 +fake GPU 3, .*, not needed\n/);
  expect(doctor.stdout).toMatch(/training runs here, on the GPU/);
}, 60_000);

test('where no GPU will do, it is told of each at which stage', async () => {
  const result = await run(folder(), ['train', '--device', 'cuda', ...JOB], 'capability=7.5/8.0,context=46');
  expect(result.code).toBe(4);
  expect(errorLines(result)[0]).toContain(
    '(compute capability: TOO_OLD_DEVICE on cuda:0; context: INIT_FAILED on cuda:1)',
  );
});

test('doctor shows the stages that were not reached', async () => {
  const { stdout } = await run(folder(), ['doctor'], 'init=999');
  expect(stdout).toMatch(/ {2}initialisation +INIT_FAILED: expected cuInit to succeed/);
  for (const stage of ['devices', 'device', 'compute capability', 'context', 'kernels', 'self-test']) {
    expect(stdout).toMatch(new RegExp(`^  ${stage} +not reached$`, 'm'));
  }
});
