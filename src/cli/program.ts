/** What the command line accepts: its commands, and what is said of words that it does not know. */

import { Command, CommanderError } from 'commander';
import { GruError, toGruError } from '../errors.js';
import { packageVersion } from '../package-version.js';
import { EXIT } from './exit.js';

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
export async function buildProgram(words: ReadonlySet<string>): Promise<Command> {
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
export function explain(thrown: unknown): GruError {
  if (!(thrown instanceof CommanderError)) return toGruError(thrown);
  const [cause = '', ...suggestion] = thrown.message.replace(/^error: /, '').split('\n');
  const help = 'gru-native --help lists the commands, gru-native COMMAND --help their options.';
  return new GruError(
    'GRU_USAGE',
    cause,
    [...suggestion.map((line) => line.replace(/^\((.*)\)$/, '$1')), help].join(' '),
  );
}
