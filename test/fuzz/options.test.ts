/** Hostile command lines: any words in any order. Commands are parsed whole but not run. */

import type { Command } from 'commander';
import { CommanderError } from 'commander';
import fc from 'fast-check';
import { exitCodeOf } from '../../src/cli/exit.js';
import { buildProgram, explain } from '../../src/cli/program.js';
import { CONFIG_KEYS, checkOption, type TrainingConfig } from '../../src/config.js';
import { GruError } from '../../src/errors.js';
import { expectRefusal, fuzz } from './campaign.js';

const COMMANDS = [
  'train',
  'generate',
  'sample',
  'eval',
  'inspect',
  'corpus',
  'doctor',
  'help',
  'list',
  'fetch',
  'check',
];
const program = await buildProgram(new Set(COMMANDS));
/** The flags of all commands. */
const FLAGS = [program, ...allOf(program)].flatMap(({ options }) =>
  options.flatMap(({ short, long }) => [short, long]),
);
const KNOWN = [...new Set([...FLAGS, '-h', '--help'])].filter(
  (flag) => flag !== undefined && flag !== null,
) as string[];
const VALUES = [
  ...[
    '0',
    '1',
    '-1',
    '-0',
    '+1',
    '1e3',
    '1e999',
    '0x10',
    '0b1',
    '1_000',
    ' 1',
    '١',
    '',
    ' ',
    'NaN',
    'nan',
    'Infinity',
    '-Infinity',
  ],
  ...[
    '2147483648',
    '9007199254740991',
    '9007199254740993',
    '0.5',
    '5e-324',
    'all',
    'auto',
    'cpu',
    'cuda',
    'cuda:1',
    'cuda:9999',
  ],
  ...[
    'adjacent',
    'random',
    'epoch',
    'fp32',
    'bf16',
    '--',
    '-',
    '-x',
    '--=',
    '=',
    '--epochs=',
    '__proto__',
    'constructor',
    'toString',
  ],
  ...[
    '\n',
    '\x1b[31m',
    '\u202e',
    '\ud800',
    '夜'.repeat(300),
    'a'.repeat(5000),
    '%s%n',
    '$(id)',
    "'",
    '"',
    '--no-quiet',
  ],
];
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...COMMANDS) },
  { weight: 8, arbitrary: fc.constantFrom(...KNOWN) },
  { weight: 8, arbitrary: fc.constantFrom(...VALUES) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...KNOWN), fc.constantFrom(...VALUES))
      .map(([flag, value]) => `${flag}=${value}`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...KNOWN), fc.nat({ max: 8 }))
      .map(([flag, length]) => flag.slice(0, length)),
  },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
);
/** Lines that begin as they should: a command, then options with any values. */
const sensible = fc
  .tuple(
    fc.constantFrom('train', 'generate', 'inspect', 'eval'),
    fc.array(fc.tuple(fc.constantFrom(...KNOWN), fc.constantFrom('1', '0.5', 'cpu', ...VALUES)), {
      maxLength: 3,
    }),
  )
  .map(([command, pairs]) => [command, ...pairs.flat()]);
const lines = fc.oneof(fc.array(word, { maxLength: 8 }), sensible);

function allOf(command: Command): Command[] {
  return command.commands.flatMap((inner) => [inner, ...allOf(inner)]);
}

/** What a command that was accepted would have been run with. */
let parsed: Record<string, unknown> | undefined;

/** The program as the command line builds it, but for what its commands do and where help goes. */
async function quietProgram(argv: readonly string[]): Promise<Command> {
  const built = await buildProgram(new Set(argv));
  for (const command of [built, ...allOf(built)]) {
    command.configureOutput({ writeOut: () => {}, writeErr: () => {} });
    if (command.commands.length > 0 || command.parent === null) continue;
    command.action(() => {
      parsed = command.opts();
    });
  }
  return built;
}

fuzz({
  name: 'options',
  inputs: lines,
  bytes: (argv) => Buffer.from(argv.join('\0')),
  attack: async (argv) => {
    parsed = undefined;
    const built = await quietProgram(argv);
    try {
      await built.parseAsync([...argv], { from: 'user' });
    } catch (thrown) {
      if (thrown instanceof CommanderError && thrown.exitCode === 0) return true; // help, or the version
      const error = explain(thrown);
      if (exitCodeOf(error) !== 2) throw thrown;
      return expectRefusal(new GruError(error.code, error.message, error.hint || '-'), 'GRU_USAGE');
    }
    // What the rules of config.ts refuse must not come through the options.
    for (const key of CONFIG_KEYS) {
      if (parsed?.[key] !== undefined) checkOption(key as keyof TrainingConfig, parsed[key], key);
    }
    if ('polluted' in {} || Object.keys(Object.prototype).length > 0)
      throw new Error('expected the prototype of objects as it was');
    return true;
  },
  runs: 1000,
  // A program is built for every line.
  allowed: { times: 1000, beside: 2 ** 23 },
  accepted: [0.05, 0.9],
});
