/** Names that docs/stability.md promises: none goes, comes or changes without stable-api.json saying so. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { EXIT } from '../src/cli/exit.js';
import { buildProgram } from '../src/cli/program.js';
import { CONFIG_KEYS } from '../src/config.js';
import { EVENT_VERSION } from '../src/events.js';
import * as values from '../src/index.js';
import { MODEL_FILE, newMetadata, TRAINER_FILE } from '../src/model-file.js';
import { RESUMABLE } from '../src/resuming.js';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The types among the exports of src/index.ts. */
function typeNames(): string[] {
  const lists = [...read('src/index.ts').matchAll(/^export (type )?\{(.*?)\}/gms)];
  const names = lists.flatMap(([, allTypes, list]) =>
    (list as string)
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (allTypes !== undefined || name.startsWith('type ')))
      .map((name) => name.replace(/^type /, '')),
  );
  return names.sort();
}

function errorCodes(): string[] {
  const union = /^export type ErrorCode =(.*?);/ms.exec(read('src/errors.ts'))?.[1] as string;
  return [...union.matchAll(/'(GRU_\w+)'/g)].map(([, code]) => code as string).sort();
}

/** Every command by its words, with its arguments and options as help writes them. */
function commandsOf(command: Command, words: string): [string, object][] {
  const rest = command.commands.flatMap((inner) => commandsOf(inner, `${words} ${inner.name()}`));
  const options = command.options.map(({ flags }) => flags).sort();
  const bracketed = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [[words, { aliases: command.aliases(), arguments: bracketed, options }], ...rest];
}

it('is what test/stable-api.json lists; vitest -u writes it anew, and the changelog says what changed', async () => {
  const manifest = JSON.parse(read('package.json'));
  const schema = JSON.parse(read('events.schema.json'));
  const bare = await buildProgram(new Set());
  const program = await buildProgram(new Set(bare.commands.map((command) => command.name())));
  const api = {
    exports: Object.keys(manifest.exports),
    node: manifest.engines.node,
    values: Object.keys(values).sort(),
    types: typeNames(),
    errorCodes: errorCodes(),
    trainingOptions: [...CONFIG_KEYS].sort(),
    resumable: [...RESUMABLE].sort(),
    defaults: values.DEFAULT_CONFIG,
    commands: Object.fromEntries(commandsOf(program, 'gru-native')),
    exitCodes: EXIT.map(([code]) => code),
    events: {
      version: EVENT_VERSION,
      kinds: schema.oneOf.map(({ $ref }: { $ref: string }) => $ref.replace('#/$defs/', '')).sort(),
    },
    files: { formatVersion: newMetadata({} as never).formatVersion, names: [MODEL_FILE, TRAINER_FILE] },
  };
  await expect(`${JSON.stringify(api, null, 2)}\n`).toMatchFileSnapshot('stable-api.json');
});
