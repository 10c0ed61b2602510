/** What stands between this machine and its GPUs, asked by a process of its own: a driver that crashes or hangs takes it along. */

import { spawn } from 'node:child_process';
import type { CudaReport, KernelChoice } from '../native.js';
import { ownFile } from '../own-files.js';
import { tellGpuWait } from './options.js';

/** Seconds that a stage may take, as the probing process has it too: the variable is for tests and slow machines. */
const STAGE_SECONDS = Number(process.env.GRU_NATIVE_GPU_PATIENCE ?? '') || 60;
/** Milliseconds after which the probing process is taken for stuck: it gives up by itself before. */
const PROBE_TIME = (2 * STAGE_SECONDS + 5) * 1000;
/** Milliseconds after which the user is told what is being waited for. */
const QUIET_WAIT = 1000;

/** How the process that asked the driver ended. */
interface Ended {
  output: string;
  how: string;
  late: boolean;
}

/** The report, or one of a single failed stage where the process that asked gave none. */
export async function probeCuda(): Promise<CudaReport> {
  let asked: Ended;
  try {
    asked = await ask();
  } catch (thrown) {
    const received = thrown instanceof Error ? thrown.message : String(thrown);
    return unanswered(
      'NOT_ASKED',
      `expected to start a process that asks the driver, received: ${received}`,
      'Start Node with --allow-child-process where its permissions are limited.',
    );
  }
  const { output, how, late } = asked;
  try {
    return JSON.parse(output) as CudaReport;
  } catch {
    const expected = late ? `an answer within ${PROBE_TIME / 1000} s` : 'the driver to answer';
    const received = late ? 'none' : `the end of the process that asked it: ${how}`;
    return unanswered(
      late ? 'TIMED_OUT' : 'CRASHED',
      `expected ${expected}, received ${received}`,
      'See whether nvidia-smi works; install the driver again if it does not.',
    );
  }
}

/** Which kernels run, as the GPU tells; null where the process that asked gave no answer. */
export async function probeKernels(): Promise<KernelChoice[] | null> {
  try {
    const { output } = await ask('kernels');
    return JSON.parse(output) as KernelChoice[];
  } catch {
    return null;
  }
}

function unanswered(reason: string, detail: string, hint: string): CudaReport {
  return {
    available: false,
    stages: [{ name: 'driver', outcome: 'failed', detail, reason, hint }],
    devices: [],
  };
}

async function ask(...words: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [ownFile('cuda-probe.js'), ...words], {
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
  const how = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  clearTimeout(notice);
  clearTimeout(limit);
  return { output, how, late };
}
