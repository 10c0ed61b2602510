/** Which device runs a network, and which arithmetic it does there. */

import type { DeviceName, Precision } from './config.js';
import { GruError } from './errors.js';

/**
 * The device to use. This build has the CPU backend alone: `auto` is the CPU, `cuda` is an error.
 *
 * @throws GruError GRU_DEVICE for a device that is not here, or an arithmetic it does not have; GRU_USAGE for
 * an arithmetic that the device can never have
 */
export function chooseDevice(device: DeviceName, precision: Precision): 'cpu' {
  if (device.startsWith('cuda')) {
    throw new GruError(
      'GRU_DEVICE',
      `expected a CUDA backend for --device ${device}, received a build of gru-native without one`,
      'Use --device cpu, or --device auto.',
    );
  }
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
  return 'cpu';
}
