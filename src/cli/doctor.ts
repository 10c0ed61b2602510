/** `gru-native doctor`: what runs here, and why. */

import type { Command } from 'commander';
import type { CudaDevice, CudaReport, CudaStage } from '../native.js';
import { packageVersion } from '../package-version.js';
import { tellGpuWait } from './options.js';
import { bytesText, driverText, table } from './table.js';

/** Adds arguments and options. */
export function declareDoctor(command: Command): void {
  command.option('--json', 'print one JSON object').action(runDoctor);
}

async function runDoctor(flags: { json?: boolean }): Promise<void> {
  const { cacheDirectory } = await import('../named-corpora.js');
  const { toNdjson } = await import('../events.js');
  const { native, addonPath } = await import('../native.js'); // throws where no addon can be loaded
  const cuda = await probeCuda();
  const facts = {
    version: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    addon: { path: addonPath, version: native.version() },
    cpu: { features: native.cpuFeatures(), path: native.cpuPath(), threads: native.availableThreads() },
    cuda,
    cacheDirectory: cacheDirectory(),
  };
  if (flags.json) {
    process.stdout.write(toNdjson({ type: 'doctor', ...facts }));
    return;
  }
  process.stdout.write(
    table([
      ['gru-native', facts.version],
      ['Node', `${facts.node} on ${facts.platform}`],
      ['addon', `${facts.addon.path} (${facts.addon.version})`],
      [
        'CPU',
        `${facts.cpu.features.join(', ') || 'no vector extensions'}; ${facts.cpu.path} kernels; ${facts.cpu.threads} threads`,
      ],
      ...cudaRows(cuda),
      ['cache', facts.cacheDirectory],
      ['result', `training runs here, on the ${cuda.available ? 'GPU' : 'CPU'}`],
    ]),
  );
}

/** Seconds that a stage may take, as the probing process has it too: the variable is for tests and slow machines. */
const STAGE_SECONDS = Number(process.env.GRU_NATIVE_GPU_PATIENCE ?? '') || 60;
/** Milliseconds after which the probing process is taken for stuck: it gives up by itself before. */
const PROBE_TIME = (2 * STAGE_SECONDS + 5) * 1000;
/** Milliseconds after which the user is told what is being waited for. */
const QUIET_WAIT = 1000;

/** A driver that crashes or hangs takes its process with it, so another process looks at it. */
async function probeCuda(): Promise<CudaReport> {
  const { spawn } = await import('node:child_process');
  const { fileURLToPath } = await import('node:url');
  const child = spawn(process.execPath, [fileURLToPath(new URL('./cuda-probe.js', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const notice = setTimeout(tellGpuWait, QUIET_WAIT);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, PROBE_TIME);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    // The line is complete; a driver that hangs may hold up the end of its process.
    if (output.endsWith('\n')) child.kill('SIGKILL');
  });
  const ended = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  clearTimeout(notice);
  clearTimeout(limit);
  try {
    return JSON.parse(output) as CudaReport;
  } catch {
    const expected = late ? `an answer within ${PROBE_TIME / 1000} s` : 'the driver to answer';
    const received = late ? 'none' : `the end of the process that asked it: ${ended}`;
    const stage = {
      name: 'driver',
      outcome: 'failed',
      detail: `expected ${expected}, received ${received}`,
      reason: late ? 'TIMED_OUT' : 'CRASHED',
      hint: 'See whether nvidia-smi works; install the driver again if it does not.',
    } as const;
    return { available: false, stages: [stage], devices: [] };
  }
}

/** The stages of the driver and, indented below each GPU that was tried, its own. */
function cudaRows(report: CudaReport): [string, string][] {
  const { available, stages, devices, chosen, ptx } = report;
  const failed = stages.find(({ outcome }) => outcome === 'failed');
  const found = available
    ? `available: cuda:${chosen}, ${driverText(report)}, kernels ${ptx}`
    : `not available: ${failed?.name}: ${failed?.reason}`;
  const rows: [string, string][] = [['CUDA', found]];
  const tried = devices.filter((device) => device.stages.length > 0);
  const ofDevices = tried.length > 0 ? (tried[0] as CudaDevice).stages.map(({ name }) => name) : [];
  rows.push(...stageRows(stages.filter(({ name }) => !ofDevices.includes(name))));
  for (const device of devices) {
    const { index, name, computeCapability, memoryBytes } = device;
    const facts = `${name}, compute capability ${computeCapability}, ${bytesText(memoryBytes)}`;
    const untried = chosen === undefined ? ', not tried' : ', not needed';
    const state = index === chosen ? '' : device.stages.length === 0 ? untried : ', not usable';
    rows.push([`  cuda:${index}`, facts + state], ...stageRows(device.stages, '  '));
  }
  return rows;
}

function stageRows(stages: readonly CudaStage[], indent = ''): [string, string][] {
  return stages.flatMap(({ name, outcome, detail, reason, hint }) => {
    const text = outcome === 'passed' ? detail : outcome === 'failed' ? `${reason}: ${detail}` : outcome;
    const row: [string, string] = [`${indent}  ${name}`, text];
    return hint === undefined || hint === '' ? [row] : [row, ['', hint]];
  });
}
