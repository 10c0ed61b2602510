/** `gru-native doctor`: what runs here, and why. */

import type { Command } from 'commander';
import { exitCodeOf } from './exit.js';

/** Adds arguments and options. */
export function declareDoctor(command: Command): void {
  command
    .option('--kernels', 'tell also which kernels run on which GPU for which hidden size and precision')
    .option('--json', 'print one JSON object')
    .action(runDoctor);
}

async function runDoctor(flags: { json?: boolean; kernels?: boolean }): Promise<void> {
  const { gatherFacts } = await import('./doctor-facts.js');
  const facts = await gatherFacts({ kernels: flags.kernels ?? false });
  const { error } = facts;
  if (flags.json) {
    const { toNdjson } = await import('../events.js');
    const told = error === null ? null : { code: error.code, message: error.message, hint: error.hint };
    process.stdout.write(toNdjson({ type: 'doctor', runs: error === null, ...facts, error: told }));
  } else {
    const { doctorText } = await import('./doctor-text.js');
    process.stdout.write(doctorText(facts));
    if (facts.kernels !== undefined) {
      const { kernelsText } = await import('./kernels-text.js');
      process.stdout.write(`\n${kernelsText(facts.kernels)}`);
    }
  }
  // All that is to say has been said: not thrown, which would say it again.
  if (error !== null) process.exitCode = exitCodeOf(error);
}
