#!/usr/bin/env node
/**
 * The command line: declares the commands and turns whatever is thrown into two lines and an exit code. Each
 * command's work is in a file of its own, loaded only when it runs, so that help answers at once.
 */

import { Command, CommanderError } from 'commander';
import { GruError, toGruError } from '../errors.js';
import { toNdjson } from '../events.js';
import { packageVersion } from '../package-version.js';
import { EXIT, exitCodeOf } from './exit.js';

/** A command: what help lists of it, and where the rest of it is. */
interface Entry {
  name: string;
  alias?: string;
  description: string;
  load: () => Promise<(command: Command) => void>;
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'train',
    description: 'train a model on a corpus and save it',
    load: async () => (await import('./train.js')).declareTrain,
  },
  {
    name: 'generate',
    alias: 'sample',
    description: 'write lyrics from prefixes',
    load: async () => (await import('./generate.js')).declareGenerate,
  },
  {
    name: 'eval',
    description: 'perplexity of any text under a model',
    load: async () => (await import('./eval.js')).declareEval,
  },
  {
    name: 'inspect',
    description: 'what a model file holds',
    load: async () => (await import('./inspect.js')).declareInspect,
  },
  {
    name: 'corpus',
    description: 'list, fetch and check corpora',
    load: async () => (await import('./corpus.js')).declareCorpus,
  },
  {
    name: 'doctor',
    description: 'Node, addon, CPU, devices: what runs here and why',
    load: async () => (await import('./doctor.js')).declareDoctor,
  },
];

/** The program; only commands whose name is among the words get their arguments and options. */
async function buildProgram(words: ReadonlySet<string>): Promise<Command> {
  const program = new Command('gru-native')
    .description('Train a character-level GRU language model on lyrics, and write new ones.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--verbose', 'show the stack of errors')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .addHelpText('after', `\nExit codes: ${EXIT.map(([code, meaning]) => `${code} ${meaning}`).join(', ')}.`);
  for (const { name, alias, description, load } of COMMANDS) {
    const command = program.command(name).description(description);
    if (alias !== undefined) command.alias(alias);
    if (words.has(name) || words.has(alias ?? name)) (await load())(command);
  }
  return program;
}

/** Commander's errors are about the command line; ours say themselves what they are about. */
function explain(thrown: unknown): GruError {
  if (!(thrown instanceof CommanderError)) return toGruError(thrown);
  const [cause = '', ...suggestion] = thrown.message.replace(/^error: /, '').split('\n');
  const help = 'gru-native --help lists the commands, gru-native COMMAND --help their options.';
  return new GruError(
    'GRU_USAGE',
    cause,
    [...suggestion.map((line) => line.replace(/^\((.*)\)$/, '$1')), help].join(' '),
  );
}

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
    return 0;
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
