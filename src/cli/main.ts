#!/usr/bin/env node
/**
 * The command line: turns whatever is thrown into two lines and an exit code. What it accepts is in program.ts; each
 * command's work is in a file of its own, loaded only when it runs, so that help answers at once.
 */

import { CommanderError } from 'commander';
import { toNdjson } from '../events.js';
import { exitCodeOf } from './exit.js';
import { buildProgram, explain } from './program.js';

async function main(argv: readonly string[]): Promise<number> {
  const words = new Set(argv);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head`) ends the program quietly; a training run saves first.
    if (error.code === 'EPIPE') process.emit('SIGPIPE');
  });
  process.once('SIGPIPE', () => {
    if (process.listenerCount('SIGPIPE') === 0) process.exit(0);
  });
  try {
    const program = await buildProgram(words);
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0); // doctor tells of a failure itself
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    const error = explain(thrown);
    const code = exitCodeOf(error);
    if (code === 0) return 0;
    if (words.has('--json')) {
      process.stdout.write(
        toNdjson({ type: 'error', code: error.code, message: error.message, hint: error.hint }),
      );
    }
    const hint = error.hint || 'gru-native COMMAND --help lists the options.';
    const label = error.code === 'GRU_INTERRUPTED' ? '' : 'error: ';
    process.stderr.write(`${label}${error.message}\n${hint}\n`);
    if (words.has('--verbose')) {
      const { cause } = error;
      process.stderr.write(`${error.stack}\n${cause instanceof Error ? `caused by ${cause.stack}\n` : ''}`);
    }
    return code;
  }
}

process.exitCode = await main(process.argv.slice(2));
