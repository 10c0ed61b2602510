/** Which device a network runs on, and which arithmetic it does there. */

import type { DeviceName, Precision } from './config.js';
import { GruError, toGruError } from './errors.js';
import { Network, type NetworkOptions } from './native.js';

/** A network, and what the user should know of where it runs. */
export interface PlacedNetwork {
  network: Network;
  notices: string[];
}

/**
 * Makes a network on the device asked for. `auto` is the first GPU that will do, and where none will the CPU,
 * with a notice that names what was missing.
 *
 * @throws GruError GRU_DEVICE for a device that cannot be used, or an arithmetic that it does not have;
 * GRU_USAGE for an arithmetic that it can never have; GRU_OUT_OF_MEMORY
 */
export function placeNetwork(
  sizes: Omit<NetworkOptions, 'device'>,
  device: DeviceName,
  precision: Precision,
): PlacedNetwork {
  if (device === 'cpu') return { network: onCpu(sizes, precision), notices: [] };
  if (device !== 'auto') {
    return { network: onCuda(sizes, device, precision), notices: [] };
  }
  if (precision !== 'fp32') return { network: onCpu(sizes, precision), notices: [] };
  try {
    return { network: new Network({ ...sizes, device: 'cuda' }), notices: [] };
  } catch (thrown) {
    const { code, message } = toGruError(thrown);
    if (code !== 'GRU_DEVICE' && code !== 'GRU_OUT_OF_MEMORY') throw thrown;
    return {
      network: onCpu(sizes, precision),
      notices: [`running on the CPU, no GPU can be used: ${message}`],
    };
  }
}

function onCpu(sizes: Omit<NetworkOptions, 'device'>, precision: Precision): Network {
  if (precision === 'tf32') {
    throw new GruError(
      'GRU_USAGE',
      'expected fp32, bf16 or fp32-exact for --precision on the CPU, received tf32',
      'tf32 is an arithmetic of NVIDIA tensor cores; use --precision fp32.',
    );
  }
  if (precision === 'bf16') {
    throw new GruError(
      'GRU_DEVICE',
      'expected a CPU path with bf16 products for --precision bf16, received a build of gru-native without one',
      'Use --precision fp32.',
    );
  }
  return new Network({ ...sizes, device: 'cpu' });
}

function onCuda(
  sizes: Omit<NetworkOptions, 'device'>,
  device: Exclude<DeviceName, 'auto' | 'cpu'>,
  precision: Precision,
): Network {
  if (precision !== 'fp32') {
    throw new GruError(
      'GRU_DEVICE',
      `expected CUDA kernels for --precision ${precision}, received a build of gru-native without them`,
      'Use --precision fp32.',
    );
  }
  try {
    return new Network({ ...sizes, device });
  } catch (thrown) {
    const { code, message, hint } = toGruError(thrown);
    if (code !== 'GRU_DEVICE') throw thrown;
    throw new GruError(code, message, `${hint} To do without a GPU: --device cpu.`.trimStart(), {
      cause: thrown,
    });
  }
}
