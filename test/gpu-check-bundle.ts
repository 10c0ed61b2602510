/** Folders where scripts stand in for the programs of a GPU bundle, and runs of the check in them. */

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, expect } from 'vitest';

/** Where the program is. */
export const FOLDER = new URL('../bench/gpu/', import.meta.url);

/** The command line: doctor as the settings say, trainings along the curves that they hold. */
const MAIN = `
import { readFileSync } from 'node:fs';
const [command, ...args] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(new URL('../../settings.json', import.meta.url), 'utf8'));
const say = (event) => console.log(JSON.stringify(event));
const option = (name) => args[args.indexOf('--' + name) + 1];
if (command === 'doctor') say({ cpu: {}, cuda: settings.cuda });
else {
  say({ type: 'start', device: option('device') === 'cuda' ? 'cuda:0' : 'cpu' });
  for (let epoch = 1; epoch <= Number(option('epochs')); epoch += 1) {
    say({ type: 'epoch', perplexity: settings.curves[option('sampling')][epoch - 1], seconds: 0.005 });
  }
  say({ type: 'end' });
}
`;

const PRESENT = {
  available: true,
  stages: [],
  devices: [
    { index: 0, name: 'Too old', computeCapability: '7.5' },
    { index: 1, name: 'Stand-in', computeCapability: '9.0' },
  ],
  chosen: 1,
  cudaVersion: '12.4',
};
/** What doctor says of CUDA where there is no GPU. */
export const ABSENT = {
  available: false,
  stages: [{ name: 'devices', outcome: 'failed', detail: 'none', reason: 'NO_DEVICE' }],
  devices: [],
};

/** The perplexities that are expected, at every epoch up to the one of the list. */
function curve(sampling: 'adjacent' | 'random'): number[] {
  const expected = JSON.parse(readFileSync(new URL('../chapter-expected.json', FOLDER), 'utf8'));
  return expected.epochs.flatMap((_: number, index: number) => Array(20).fill(expected[sampling][index]));
}

const PRECISIONS = ['fp32', 'tf32', 'bf16'];

/** Times of an update with persistent kernels, a microsecond each. */
export function timedPath(precision: string) {
  const pair = `cluster_${precision}_256`;
  const names = [
    'begin_update',
    `forward_${pair}`,
    ...['projection', 'hidden_gradient', 'output_gradient', 'recurrent_gradient'].map(
      (product) => `${product}_${precision}`,
    ),
    'softmax_loss',
    `backward_${pair}`,
    ...['input_gradient', 'bias_gradients', 'report_update', 'descend', 'carry_state'],
  ];
  return {
    precision,
    recurrence: pair,
    firstEpochSeconds: 0.01,
    epochSeconds: 0.01,
    updateMicroseconds: 12,
    launches: names.length,
    kernelMicroseconds: names.length,
    kernels: names.map((kernel) => ({ kernel, launches: 1, microseconds: 1 })),
  };
}

/** The same with a launch for each of 35 steps. */
export function timedSteps(precision: string) {
  const path = timedPath(precision);
  const kernels = path.kernels.map((one) => {
    const step = /^(forward|backward)_cluster/.exec(one.kernel)?.[1];
    return step ? { kernel: `step_${step}`, launches: 35, microseconds: 35 } : one;
  });
  const added = 2 * 34;
  const sums = { launches: path.launches + added, kernelMicroseconds: path.kernelMicroseconds + added };
  return { ...path, ...sums, recurrence: 'steps', kernels };
}

/** What was measured one by one. */
export const MICRO = {
  graphNodeMicroseconds: 0.5,
  kernels: [
    { kernel: 'round_trip_async', round: 'a word there and back', cyclesPerRound: 420 },
    { kernel: 'round_trip_cluster', round: 'a barrier', cyclesPerRound: 600 },
  ],
  residentGroups: [{ pair: 'cluster_fp32_256', blocks: 8, forward: 15, backward: 14 }],
};

/** What the stand-ins do; without anything, all is well. */
interface StandIns {
  cuda?: object;
  tests?: string;
  perplexity?: number;
  jaychou?: boolean;
  micro?: object;
}

const ALL_TESTS = "printf 'running 2 tests\\ntest a ... ok\\ntest b::c ... ok\\n'";

const BUNDLES = mkdtempSync(join(tmpdir(), 'gru-native-bundles-'));
afterAll(() => rmSync(BUNDLES, { recursive: true, force: true }));

/** A bundle of scripts; returns its folder. */
export function fakeBundle({
  cuda = PRESENT,
  tests = ALL_TESTS,
  perplexity,
  jaychou = false,
  micro = MICRO,
}: StandIns): string {
  const folder = mkdtempSync(join(BUNDLES, 'bundle-'));
  for (const name of ['dist/cli', 'tests', 'bin', 'corpus'])
    mkdirSync(join(folder, name), { recursive: true });
  const write = (path: string, text: string) => writeFileSync(join(folder, path), text, { mode: 0o755 });
  const adjacent = curve('adjacent');
  if (perplexity !== undefined) adjacent[99] = perplexity;
  write('settings.json', JSON.stringify({ cuda, curves: { adjacent, random: curve('random') } }));
  write('package.json', '{"type":"module"}');
  write('bundle.json', '{"version":"0","commit":"0","requires":{"platform":"linux-x64","glibc":"2.17"}}');
  write('dist/cli/main.js', MAIN);
  write(
    'tests/gpu',
    `#!/bin/sh\ncase "$*" in *--list*) printf 'a: test\\nb::c: test\\n';; *) ${tests};; esac\n`,
  );
  write(
    'tests/cpu',
    `#!/bin/sh\ncase "$*" in *--list*) printf 'a: test\\nb::c: test\\n';; *) ${ALL_TESTS};; esac\n`,
  );
  write(
    'tests/update_parts',
    `#!/bin/sh\necho '{"path":"avx2","threads":'$1',"milliseconds":[27.2,25.04],"fma":[200,201]}'\n`,
  );
  const opened = { openSeconds: 0.01, contextSeconds: 0.01, moduleSeconds: 0.01 };
  const times = { ...opened, paths: [...PRECISIONS.map(timedPath), ...PRECISIONS.map(timedSteps)] };
  const cold = JSON.stringify({ openSeconds: 3, contextSeconds: 1, moduleSeconds: 2 });
  const timed = `if [ "$1" = open ]; then [ "$CUDA_CACHE_DISABLE" = 1 ] && echo '${cold}'; else echo '${JSON.stringify(times)}'; fi`;
  write('tests/gpu_timing', `#!/bin/sh\n${timed}\n`);
  write('tests/gpu_micro', `#!/bin/sh\necho '${JSON.stringify(micro)}'\n`);
  const [listed, status] = cuda === PRESENT ? ['Stand-in, 550.1, 9.0', 0] : ['', 9];
  write('bin/nvidia-smi', `#!/bin/sh\necho '${listed}'\nexit ${status}\n`);
  const clean = 'test result: ok. 1 passed\\n========= ERROR SUMMARY: 0 errors\\n';
  write('bin/compute-sanitizer', `#!/bin/sh\nprintf '${clean}'\n`);
  const mode = (name: string) => `{"mode":"${name}","secondsPerEpoch":0.01,"perplexity":270}`;
  write('bin/python3', `#!/bin/sh\necho '${mode('eager')}'\necho '${mode('graph')}'\n`);
  if (jaychou) write('corpus/jaychou_lyrics.txt.zip', '');
  return folder;
}

/** Starts the check in a fake bundle; `onMessage` sees what it says meanwhile, and may signal it. */
export async function check(
  folder: string,
  args: readonly string[] = [],
  onMessage = (_text: string, _stop: () => void) => {},
) {
  const output = join(folder, 'out.json');
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
  };
  delete env.GRU_NATIVE_JAYCHOU;
  const program = new URL('check.mjs', FOLDER).pathname;
  const child = spawn(process.execPath, [program, output, '--bundle', folder, ...args], { env });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => onMessage(text, () => child.kill('SIGINT')));
  const code = await new Promise((resolve) => child.on('close', resolve));
  const { parts, exitCode } = JSON.parse(readFileSync(output, 'utf8'));
  expect(exitCode).toBe(code);
  const results = Object.fromEntries(
    Object.entries<{ result: string }>(parts).map(([name, { result }]) => [name, result]),
  );
  return { code, stdout, parts, results };
}

/** Whether a process runs, one that has ended and was not waited for aside. */
export function runs(pid: string): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) Z /.test(readFileSync(path, 'latin1'));
}
