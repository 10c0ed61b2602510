/** Running the commands of other programs from scripts. */

import { spawnSync } from 'node:child_process';

/** Runs a command to its end; its messages pass through. Returns what it wrote to stdout. */
export function outputOf(command, args, cwd) {
  const { status, stdout, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status === 0) return stdout;
  throw new Error(
    `expected ${command} ${args.join(' ')} to succeed, received ${error?.message ?? `status ${status}`}`,
  );
}
