/** `gru-native doctor`: what runs here, and why. */

import type { Command } from 'commander';
import type { CudaReport } from '../native.js';
import { packageVersion } from '../package-version.js';
import { bytesText, table } from './table.js';

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

/** A driver that crashes takes its process with it, so another process looks at it. */
async function probeCuda(): Promise<CudaReport> {
  const { spawn } = await import('node:child_process');
  const { fileURLToPath } = await import('node:url');
  const child = spawn(process.execPath, [fileURLToPath(new URL('./cuda-probe.js', import.meta.url))], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  try {
    return JSON.parse(output) as CudaReport;
  } catch {
    const detail = `expected the driver to answer, received the end of the process that asked it: ${ended}`;
    const hint = 'See whether nvidia-smi works; install the driver again if it does not.';
    const stage = { name: 'driver', outcome: 'failed', detail, reason: 'CRASHED', hint } as const;
    return { available: false, stages: [stage], devices: [] };
  }
}

function cudaRows({ available, stages, devices, driver, ptx }: CudaReport): [string, string][] {
  const rows: [string, string][] = [];
  const failed = stages.find(({ outcome }) => outcome === 'failed');
  if (available) rows.push(['CUDA', `available: driver for CUDA ${driver}, kernels ${ptx}`]);
  else rows.push(['CUDA', `not available: ${failed?.name}: ${failed?.reason}`]);
  for (const { name, outcome, detail, hint } of stages) {
    if (outcome === 'not reached') continue;
    rows.push([`  ${name}`, detail]);
    if (hint) rows.push(['', hint]);
  }
  for (const { index, name, computeCapability, memoryBytes } of devices) {
    rows.push([
      `  cuda:${index}`,
      `${name}, compute capability ${computeCapability}, ${bytesText(memoryBytes)}`,
    ]);
  }
  return rows;
}
