/** `gru-native doctor`: what runs here, and why. */

import type { Command } from 'commander';
import { packageVersion } from '../package-version.js';
import { table } from './table.js';

/** Adds arguments and options. */
export function declareDoctor(command: Command): void {
  command.option('--json', 'print one JSON object').action(runDoctor);
}

async function runDoctor(flags: { json?: boolean }): Promise<void> {
  const { cacheDirectory } = await import('../named-corpora.js');
  const { toNdjson } = await import('../events.js');
  const { native, addonPath } = await import('../native.js'); // throws where no addon can be loaded
  const facts = {
    version: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    addon: { path: addonPath, version: native.version() },
    cpu: { features: native.cpuFeatures(), threads: native.availableThreads() },
    cuda: { available: false, reason: 'this build has no CUDA backend' },
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
      ['CPU', `${facts.cpu.features.join(', ') || 'no vector extensions'}; ${facts.cpu.threads} threads`],
      ['CUDA', `not available: ${facts.cuda.reason}`],
      ['cache', facts.cacheDirectory],
      ['result', 'training runs here, on the CPU'],
    ]),
  );
}
