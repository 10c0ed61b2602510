/** Builds the driver library that stands in for NVIDIA's in tests. */

import { execFileSync } from 'node:child_process';
import { ROOT } from './release-targets.mjs';

/**
 * Where cargo put libfake_cuda.so. Asked for as a part of the workspace's tests, so that what those have built is not
 * built again with other features.
 */
export function buildFakeDriver() {
  const args = ['test', '--locked', '--workspace', '--test', 'driver', '--no-run', '--message-format=json'];
  const messages = execFileSync('cargo', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 2 ** 28,
  });
  const library = /"([^"]+libfake_cuda\.so)"/.exec(messages)?.[1];
  if (library === undefined)
    throw new Error('expected cargo to build libfake_cuda.so, received no such file');
  return library;
}
