/** Which device a network runs on, and which arithmetic it does there. */

import type { DeviceName, Precision } from './config.js';
import { GruError, toGruError } from './errors.js';
import { Network, type NetworkOptions } from './native.js';

/** A network, and what the user should know of where it runs. */
export interface PlacedNetwork {
  network: Network;
  notices: string[];
}

/** How a network comes to its device. */
export interface Placement {
  /** Sizes, and the length of the corpus, for which a GPU must have memory left. */
  options: Omit<NetworkOptions, 'device'>;
  device: DeviceName;
  precision: Precision;
  /** Gives the network its corpus and parameters; once more where `auto` finds that they do not fit the GPU. */
  fill: (network: Network) => Promise<void>;
  /** Ends the opening of a GPU. */
  signal?: AbortSignal | undefined;
  /** Told once when opening a GPU takes longer than a second. */
  onGpuWait?: (() => void) | undefined;
}

/** Milliseconds after which the user is told what is being waited for. */
const QUIET_WAIT = 1000;

/** What `auto` goes on from with the CPU. */
const NOT_HERE = ['GRU_DEVICE', 'GRU_DEVICE_FAULT', 'GRU_OUT_OF_MEMORY'];

/**
 * Makes a network on the device asked for and fills it. `auto` is the first GPU that will do, and where none will
 * the CPU, with a notice that names what was missing; but for tf32, which only GPUs have, and fp32-exact, which only
 * the CPU has.
 *
 * @throws GruError GRU_DEVICE for a device that cannot be used, or an arithmetic that it does not have;
 * GRU_USAGE for an arithmetic that it can never have; GRU_OUT_OF_MEMORY; GRU_INTERRUPTED when the signal fired
 * while a GPU was being opened; what `fill` throws
 */
export async function placeNetwork(placement: Placement): Promise<PlacedNetwork> {
  const { device, precision } = placement;
  if (device === 'cpu') return { network: await onCpu(placement), notices: [] };
  if (device !== 'auto') return { network: await onGpu(placement, device), notices: [] };
  if (precision === 'tf32') return { network: await onGpu(placement, 'cuda'), notices: [] };
  if (precision === 'fp32-exact') {
    const notices = [`running on the CPU: the CUDA kernels have no ${precision}`];
    return { network: await onCpu(placement), notices };
  }
  try {
    return { network: await openGpu(placement, 'cuda', precision), notices: [] };
  } catch (thrown) {
    const { code, message } = toGruError(thrown);
    if (!NOT_HERE.includes(code)) throw thrown;
    const why = code === 'GRU_OUT_OF_MEMORY' ? "the GPU's memory is too small" : 'no GPU can be used';
    return { network: await onCpu(placement), notices: [`running on the CPU, ${why}: ${message}`] };
  }
}

async function onCpu({ options, precision, fill }: Placement): Promise<Network> {
  if (precision === 'tf32') {
    throw new GruError(
      'GRU_USAGE',
      'expected fp32, bf16 or fp32-exact for --precision on the CPU, received tf32',
      'tf32 is an arithmetic of NVIDIA tensor cores; use --precision fp32.',
    );
  }
  const operands = precision === 'bf16' ? 'bf16' : 'fp32';
  return filled(new Network({ ...options, device: 'cpu', precision: operands }), fill);
}

async function onGpu(placement: Placement, device: Exclude<DeviceName, 'auto' | 'cpu'>): Promise<Network> {
  const { precision } = placement;
  if (precision === 'fp32-exact') {
    throw new GruError(
      'GRU_USAGE',
      'expected fp32, tf32 or bf16 for --precision on a GPU, received fp32-exact',
      "The CUDA kernels do not give the bits of the CPU's portable path; use --precision fp32 or --device cpu.",
    );
  }
  try {
    return await openGpu(placement, device, precision);
  } catch (thrown) {
    const { code, message, hint } = toGruError(thrown);
    if (!NOT_HERE.includes(code) || hint.includes('--device cpu')) throw thrown;
    const without =
      precision === 'tf32'
        ? 'tf32 needs a GPU; to do without: --device cpu --precision fp32.'
        : 'To do without a GPU: --device cpu.';
    throw new GruError(code, message, `${hint} ${without}`.trimStart(), { cause: thrown });
  }
}

/** Opens a GPU beside the event loop, and fills the network there. */
async function openGpu(
  { options, fill, signal, onGpuWait }: Placement,
  device: Exclude<DeviceName, 'auto' | 'cpu'>,
  precision: Exclude<Precision, 'fp32-exact'>,
): Promise<Network> {
  const network = new Network({ ...options, device, precision });
  const stop = () => network.dispose();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  const timer = setTimeout(() => onGpuWait?.(), QUIET_WAIT);
  try {
    await network.ready();
  } catch (thrown) {
    network.dispose();
    if (!signal?.aborted) throw thrown;
    throw new GruError(
      'GRU_INTERRUPTED',
      'stopped on request while the GPU was being opened',
      'Nothing was done yet.',
      { cause: signal.reason },
    );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
  return filled(network, fill);
}

/** The network, filled; disposed of where that fails. */
async function filled(network: Network, fill: Placement['fill']): Promise<Network> {
  try {
    await fill(network);
    return network;
  } catch (thrown) {
    network.dispose();
    throw thrown;
  }
}
