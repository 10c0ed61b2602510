/** `gru-native doctor`: what it tells where all is well and where the addon does not load, and what it reads of Linux. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import type { DoctorFacts } from '../../src/cli/doctor-facts.js';
import { doctorText } from '../../src/cli/doctor-text.js';
import { kernelsText } from '../../src/cli/kernels-text.js';
import { findLimits } from '../../src/cli/limits.js';
import { type KernelChoice, native } from '../../src/native.js';
import { currentPlatform, platformName } from '../../src/platform.js';
import { install } from '../mini-install.js';
import { addonBytes } from '../patched-addon.js';
import { type Finished, folder, run, start } from './command.js';

const HERE = platformName(currentPlatform());
const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../events.schema.json'), 'utf8'));
const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);

/** What `doctor --json` told, after a comparison with the published schema. */
function told({ events }: Finished): DoctorFacts & { runs: boolean } {
  const [event, ...more] = events();
  expect(more).toEqual([]);
  expect(validate(event), JSON.stringify(validate.errors)).toBe(true);
  return event as unknown as DoctorFacts & { runs: boolean };
}

/** The names of the rows that are not indented. */
function rowsOf(stdout: string): string[] {
  return stdout.split('\n').flatMap((line) => /^(\S.*?) {2,}\S/.exec(line)?.[1] ?? []);
}

const ROWS = ['gru-native', 'Node', 'system', 'CPU', 'threads', 'memory', 'addon', 'CUDA', 'cache', 'result'];

test('where training runs it says so, with exit code 0', async () => {
  const cwd = folder();
  const result = await run(cwd, 'doctor');
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(rowsOf(result.stdout)).toEqual(ROWS.toSpliced(7, 0, 'PTX'));
  expect(result.stdout).not.toContain('kernels of the time steps');
  expect(result.stdout).toMatch(/^result +training runs here, on the CPU$/m);
  expect(result.stdout).toMatch(/release build for \w+-\S+ by rustc \d+\.\d+\.\d+$/m);
  expect(result.stdout).toMatch(
    /^PTX +gru_sm80, products_\* \(2\), words_\* \(7\): compute capability 8\.0 or newer, driver\s+for\s+CUDA 12\.0 or newer$/m,
  );
  expect(result.stdout).toMatch(
    /^ +cluster_\* \(7\): compute capability 9\.0 or newer, driver for CUDA 12\.1\s+or newer$/m,
  );
});

test('--kernels tells what runs on which GPU, also where there is none', async () => {
  const text = await run(folder(), 'doctor', '--kernels');
  expect(text).toMatchObject({ code: 0, stderr: '' });
  const table = text.stdout.slice(text.stdout.indexOf('kernels of the time steps'));
  expect(table).toMatch(/^compute capability 8\.0, 8\.6 to 8\.9\n +precision +hidden size +time steps\n/m);
  expect(table).toMatch(/^compute capability 9\.0 and newer\n/m);
  expect(table).toMatch(/^ {2}fp32 +1 to \d+ +clusters of \d+, \d lanes$/m);
  expect(table).toMatch(/^ {13}\d+ and more +one launch a step$/m);
  expect(table).toMatch(/not asked/);
  expect(Math.max(...table.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(80);
  const { kernels = [] } = told(await run(folder(), 'doctor', '--kernels', '--json'));
  expect(kernels).toEqual(native.kernelChoices(false));
  expect(new Set(kernels.map(({ oldestCapability }) => oldestCapability))).toEqual(
    new Set(['8.0', '8.6', '9.0']),
  );
});

test('as JSON it is typed, as the schema says', async () => {
  const facts = told(await run(folder(), 'doctor', '--json'));
  expect(facts).toMatchObject({
    runs: true,
    installer: 'checkout',
    node: { version: process.version, arch: process.arch },
    system: { platform: HERE },
    cpu: { threads: native.availableThreads(), features: native.cpuFeatures(), path: native.cpuPath() },
    addon: { build: native.buildInfo() },
    cuda: { available: false },
    error: null,
  });
  expect(validate({ ...facts, cpu: { ...facts.cpu, threads: 'two' } })).toBe(false);
  expect(validate({ ...facts, more: 1 })).toBe(false);
});

test('where the addon is missing it tells all else, why, and what to do, with exit code 1', async () => {
  const installation = install({});
  const text = await installation.cli(['doctor']);
  expect(text).toMatchObject({ code: 1, stderr: '' });
  expect(rowsOf(text.stdout)).toEqual(ROWS);
  expect(text.stdout).toMatch(/^addon +does not load$/m);
  expect(text.stdout).toMatch(/^system +\S.*, kernel \d/m);
  expect(text.stdout).toMatch(/^result +training does not run here: expected the package/m);
  expect(text.stdout).toMatch(/^ +npm install --include=optional gru-native$/m);
  const json = await installation.cli(['doctor', '--json']);
  expect(json).toMatchObject({ code: 1, stderr: '' });
  expect(told(json)).toMatchObject({
    runs: false,
    installer: 'npm',
    cpu: { threads: null, features: null, path: null },
    addon: null,
    cuda: null,
    error: { code: 'GRU_ADDON', message: expect.stringContaining(`gru-native-${HERE}`) },
  });
});

test('where addons are not allowed nothing else is needed to say so', async () => {
  const installation = install({ [HERE]: addonBytes() });
  const text = await installation.cli(['doctor'], { flags: ['--no-addons'] });
  expect(text).toMatchObject({ code: 1, stderr: '' });
  expect(rowsOf(text.stdout)).toEqual(ROWS);
  expect(text.stdout).toMatch(/^ +Start Node without --no-addons; /m);
});

test('where no process may be started the CPU serves all the same', async () => {
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  const flags = [permission, '--allow-fs-read=*', '--allow-addons'];
  const result = await install({ [HERE]: addonBytes() }).cli(['doctor', '--json'], { flags });
  expect(result.code).toBe(0);
  expect(told(result).cuda?.stages).toMatchObject([{ outcome: 'failed', reason: 'NOT_ASKED' }]);
});

test('names of users are left out; the cache is told with its size', async () => {
  const installation = install({ [HERE]: addonBytes() });
  const cache = join(installation.root, 'cache');
  mkdirSync(join(cache, 'corpora'), { recursive: true });
  writeFileSync(join(cache, 'corpora/a.zip'), Buffer.alloc(1000));
  writeFileSync(join(cache, 'b'), Buffer.alloc(24));
  const env = { HOME: installation.root, USERPROFILE: installation.root, GRU_NATIVE_CACHE: cache };
  const { stdout } = await installation.cli(['doctor'], { env });
  expect(stdout).not.toContain(installation.root);
  expect(stdout).toMatch(/^cache +~[\\/]cache \(1\.0 KiB; stays when gru-native is uninstalled\)$/m);
  expect(stdout).toMatch(/^addon +~[\\/]node_modules[\\/]gru-native-/m);
  const facts = told(await installation.cli(['doctor', '--json'], { env }));
  expect(facts.cache).toEqual({ directory: cache, exists: true, bytes: 1024 });
  const none = { GRU_NATIVE_CACHE: join(installation.root, 'none') };
  expect(told(await start(installation.root, ['doctor', '--json'], '', none).finished).cache).toMatchObject({
    exists: false,
    bytes: null,
  });
});

/** Facts of a machine with two GPUs, the first of which was passed over. */
const FACTS: DoctorFacts = {
  version: '0.1.0',
  installer: 'pnpm',
  node: { version: 'v22.1.0', arch: 'x64', path: '/usr/bin/node' },
  system: {
    platform: 'linux-x64-musl',
    name: 'Alpine Linux v3.22',
    kernel: '6.1.0',
    libc: { name: 'musl', version: null },
  },
  cpu: {
    ...{ model: 'Some CPU', cores: 64, allowedCpus: 16, quota: 7.5, threads: 7 },
    ...{ features: ['avx2', 'fma'], path: 'avx2' },
  },
  memory: { totalBytes: 2 ** 37, limitBytes: 2 ** 33 },
  addon: {
    path: '/app/gru-native.linux-x64-musl.node',
    version: '0.1.0',
    build: {
      ...{ target: 'x86_64-unknown-linux-musl', profile: 'release', rustc: '1.89.0' },
      ptx: [
        { name: 'gru_sm80', minimumCapability: '8.0', minimumCuda: '12.0' },
        { name: 'cluster_fp32_128', minimumCapability: '9.0', minimumCuda: '12.1' },
        { name: 'cluster_fp32_256', minimumCapability: '9.0', minimumCuda: '12.1' },
      ],
    },
  },
  cuda: {
    available: true,
    chosen: 1,
    cudaVersion: '12.4',
    driverRelease: '550.54.14',
    ptx: 'gru_sm80',
    stages: [
      { name: 'driver library', outcome: 'passed', detail: 'libcuda.so.1' },
      { name: 'context', outcome: 'passed', detail: 'made' },
    ],
    devices: [
      {
        ...{ index: 0, name: 'Some GPU', computeCapability: '9.0', memoryBytes: 80 * 2 ** 30 },
        stages: [
          {
            ...{ name: 'context', outcome: 'failed', reason: 'INIT_FAILED' },
            detail: `expected ${'a context '.repeat(9)}received none`,
            hint: 'Try again.',
          },
        ],
      },
      {
        ...{ index: 1, name: 'Other GPU', computeCapability: '8.9', memoryBytes: 24 * 2 ** 30 },
        stages: [{ name: 'context', outcome: 'passed', detail: 'made' }],
      },
    ],
  },
  cache: { directory: '/cache', exists: true, bytes: null },
  error: null,
};

test('the text of a machine with GPUs and limits', () => {
  expect(doctorText(FACTS)).toBe(`\
gru-native        0.1.0, installed by pnpm
Node              v22.1.0 for x64, /usr/bin/node
system            Alpine Linux v3.22, kernel 6.1.0, musl
CPU               Some CPU; avx2, fma; avx2 kernels
threads           7, of 64 cores: affinity allows 16, its cgroup grants the time of 7.5
memory            128.0 GiB, of which its cgroup grants 8.0 GiB
addon             /app/gru-native.linux-x64-musl.node
                  0.1.0, release build for x86_64-unknown-linux-musl by rustc 1.89.0
PTX               gru_sm80: compute capability 8.0 or newer, driver for CUDA 12.0 or newer
                  cluster_* (2): compute capability 9.0 or newer, driver for CUDA 12.1 or newer
CUDA              available: cuda:1, driver 550.54.14 for up to CUDA 12.4, kernels gru_sm80
  driver library  libcuda.so.1
  cuda:0          Some GPU, compute capability 9.0, 80.0 GiB, not usable
    context       INIT_FAILED: expected a context a context a context a context a context a context
                  a context a context a context received none
                  Try again.
  cuda:1          Other GPU, compute capability 8.9, 24.0 GiB
    context       made
cache             /cache (not readable)
result            training runs here, on the GPU
`);
});

test('the text of the kernels of a GPU', () => {
  type Common = Pick<KernelChoice, 'fewestHidden' | 'way' | 'kernels'>;
  const steps: Common = { fewestHidden: 1, way: 'steps', kernels: ['step_forward', 'step_backward'] };
  const clusters: Common = { fewestHidden: 1, way: 'cluster', kernels: ['forward', 'backward'] };
  const choices: KernelChoice[] = [
    { ...steps, oldestCapability: '8.0', newestCapability: '8.0', precision: 'fp32' },
    { ...steps, oldestCapability: '8.6', newestCapability: '8.9', precision: 'fp32' },
    {
      ...{ ...clusters, oldestCapability: '9.0', precision: 'bf16', mostHidden: 512, blocks: 16, lanes: 8 },
      ...{ groupsAtOnce: [15, 14], registers: [168, 116], sharedBytes: [98_304, 98_305] },
    },
    {
      ...{ ...steps, oldestCapability: '9.0', precision: 'bf16', fewestHidden: 513 },
      ...{ registers: [40, 40], sharedBytes: [13_312, 1024] },
    },
  ];
  expect(kernelsText(choices)).toBe(`\
kernels of the time steps

compute capability 8.0, 8.6 to 8.9
  precision  hidden size  time steps
  fp32       any          one launch a step

compute capability 9.0 and newer
  precision  hidden size   time steps               at once  registers  shared
  bf16       1 to 512      clusters of 16, 8 lanes  15/14    168/116    96/97 KiB
             513 and more  one launch a step                 40         13/1 KiB

one launch a step: the recurrence is computed in fp32 whatever the precision.
clusters of 8, 4 lanes: 8 blocks keep the recurrent weights on the chip and
run 4 lanes of the batch through all steps; groups likewise, on GPUs without
clusters, where all of a batch must fit at once.
at once: clusters or groups that the GPU holds.
Two numbers: forward/backward.
`);
});

describe('the limits of a Linux system', () => {
  const limits = (files: Record<string, string>) => findLimits((path) => files[path]);

  test('version 2: the tightest of a cgroup and those above it', () => {
    expect(
      limits({
        '/proc/self/cgroup': '0::/system.slice/job.service\n',
        '/sys/fs/cgroup/system.slice/job.service/cpu.max': 'max 100000\n',
        '/sys/fs/cgroup/system.slice/job.service/memory.max': '1073741824\n',
        '/sys/fs/cgroup/system.slice/cpu.max': '150000 100000\n',
        '/sys/fs/cgroup/system.slice/memory.max': '536870912\n',
        '/proc/self/status':
          'Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,8,10-11\nMems_allowed:\t1\n',
      }),
    ).toEqual({ cpuQuota: 1.5, memoryBytes: 536870912, allowedCpus: 7 });
  });

  test('version 2 in a container, which sees its own cgroup as the root or under a name that is not there', () => {
    const own = { '/sys/fs/cgroup/cpu.max': '50000 100000\n', '/sys/fs/cgroup/memory.max': '4096\n' };
    const expected = { cpuQuota: 0.5, memoryBytes: 4096 };
    expect(limits({ ...own, '/proc/self/cgroup': '0::/\n' })).toEqual(expected);
    expect(limits({ ...own, '/proc/self/cgroup': '0::/docker/0123abc\n' })).toEqual(expected);
  });

  test('version 1, alone or beside version 2', () => {
    const files = {
      '/proc/self/cgroup': '4:memory:/job\n3:cpu,cpuacct:/job\n2:cpuset:/\n1:name=systemd:/\n0::/\n',
      '/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu/job/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/job/memory.limit_in_bytes': '2147483648\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    };
    expect(limits(files)).toEqual({ cpuQuota: 2, memoryBytes: 2147483648 });
  });

  test('no limit, and files that are missing or hold something else', () => {
    expect(limits({})).toEqual({});
    const unlimited = {
      '/proc/self/cgroup': '4:memory:/\n1:cpu:/\n0::/\n',
      '/sys/fs/cgroup/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/memory.max': 'max\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    };
    expect(limits(unlimited)).toEqual({});
    expect(
      limits({
        '/proc/self/cgroup': 'nonsense\n0::/\n',
        '/sys/fs/cgroup/cpu.max': '\n',
        '/sys/fs/cgroup/memory.max': 'many\n',
      }),
    ).toEqual({});
  });
});
