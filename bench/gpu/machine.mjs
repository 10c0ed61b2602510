/** The first part: what machine this is, and whether the addon finds a GPU on it. */

import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { failureOf, run, tail } from './processes.mjs';
import { atLeast, deviceState } from './verdict.mjs';

/** @typedef {import('./check.mjs').Context} Context */

/** What nvidia-smi is asked for, under the names that it uses. */
const QUERY = [
  'name',
  'driver_version',
  'compute_cap',
  'memory.total',
  'clocks.sm',
  'clocks.max.sm',
  'clocks.mem',
  'clocks.max.mem',
  'power.limit',
  'temperature.gpu',
];
/** Seconds that nvidia-smi may take of the part's time. */
const SMI_SECONDS = 8;

/**
 * The GPUs in the words of nvidia-smi; none where it is not there or fails.
 *
 * @param {string} csv
 * @returns {Record<string, string>[]}
 */
export function readGpus(csv) {
  const lines = csv.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const cells = line.split(',').map((cell) => cell.trim());
    return Object.fromEntries(QUERY.map((name, index) => [name, cells[index] ?? '']));
  });
}

/** The machine without its GPU. */
export function hostFacts() {
  const { report } = process;
  Object.assign(report, { excludeNetwork: true });
  const header = /** @type {any} */ (report.getReport()).header;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    threads: cpus().length,
    loadAverage: loadavg().map((load) => Math.round(load * 100) / 100),
    platform: `${process.platform}-${process.arch}`,
    kernel: header.osRelease,
    glibc: header.glibcVersionRuntime,
    node: process.versions.node,
  };
}

/** @param {Context} context */
export async function machine({ bundle, requires, left, facts }) {
  const host = hostFacts();
  const query = [`--query-gpu=${QUERY.join(',')}`, '--format=csv,noheader'];
  const smi = await run('nvidia-smi', query, { seconds: Math.min(SMI_SECONDS, left()) });
  const gpus = failureOf(smi) === undefined ? readGpus(smi.stdout) : [];
  const seen = { host, gpus, ...(gpus.length === 0 ? { nvidiaSmi: failureOf(smi) ?? 'lists no GPU' } : {}) };
  if (requires.platform !== host.platform || !atLeast(host.glibc ?? '0', requires.glibc)) {
    const received = `${host.platform} with ${host.glibc ?? 'no glibc'}`;
    const reason = `expected ${requires.platform} with glibc ${requires.glibc} or newer, received ${received}`;
    return { result: 'failed', reason, ...seen };
  }

  const main = join(bundle, 'dist/cli/main.js');
  const asked = await run(process.execPath, [main, 'doctor', '--json'], { seconds: left() });
  const failure = failureOf(asked);
  if (failure !== undefined) {
    return { result: 'failed', reason: `doctor: ${failure}`, output: tail(asked), ...seen };
  }
  const { cuda, cpu } = JSON.parse(asked.stdout); // no more of it: a result names no path of a machine
  const { state, reason } = deviceState(cuda, gpus.length);
  facts.device = state;
  const known = { ...seen, cpu, cuda };
  if (state === 'absent') return { result: 'no device', reason, ...known };
  if (state === 'broken') return { result: 'failed', reason, ...known };
  const device = cuda.devices.find(({ index }) => index === cuda.chosen);
  const driver = cuda.driverRelease === undefined ? '' : `driver ${cuda.driverRelease}, `;
  const figure = `${device.name}, compute capability ${device.computeCapability}, ${driver}CUDA ${cuda.cudaVersion}`;
  return { result: 'passed', figure, ...known };
}
