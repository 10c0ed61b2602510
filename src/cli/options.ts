/** What the commands share: the default directory, parsers that record a checked value and do no work, one notice. */

import type { Command } from 'commander';
import { checkOption, type TrainingConfig } from '../config.js';
import { checkEncoding, ENCODINGS, type Encoding } from '../encoding.js';
import { GruError } from '../errors.js';
import { checkUnknownPolicy, type UnknownPolicy } from '../unknown.js';

/** The directory of a run or model that names none. */
export const DEFAULT_OUT = 'gru-model';

/** What a corpus may be, for the help of every command that reads one. */
export const SOURCES_HELP = 'text files, folders, globs, .zip, .gz, - for stdin, or named corpora';

/** Options on how texts are read. */
export interface ReadingFlags {
  encoding?: Encoding;
  nfc?: boolean;
}

/** Adds the options on how texts are read. */
export function declareReading(command: Command): Command {
  return command
    .option(
      '--encoding <name>',
      `encoding of texts without a byte order mark: ${ENCODINGS.join(', ')} (default: auto, which is UTF-8 or else GB18030)`,
      (text) => checkEncoding(text.toLowerCase(), '--encoding'),
    )
    .option('--nfc', "compose characters (Unicode's NFC)");
}

/** Says what is being waited for, where opening a GPU takes long. */
export function tellGpuWait(): void {
  process.stderr.write('looking at the GPU…\n');
}

/** The text as a number, or as it is where it is none, so that messages can quote it. */
function numberOrText(text: string): number | string {
  const number = Number(text);
  return text.trim() === '' || Number.isNaN(number) ? text : number;
}

/** A parser for a training option, checked by the rules of config.ts. */
export function configValue<Key extends keyof TrainingConfig>(key: Key, flag: string) {
  return (text: string): TrainingConfig[Key] => {
    const value = numberOrText(text);
    checkOption(key, value, flag);
    return value as TrainingConfig[Key];
  };
}

/** A parser for a number with bounds of its own; the API that gets it checks the range. */
export function numberValue(flag: string) {
  return (text: string): number => {
    const value = numberOrText(text);
    if (typeof value === 'number') return value;
    throw new GruError('GRU_USAGE', `expected a number for ${flag}, received ${JSON.stringify(text)}`);
  };
}

/** A prefix that may be given several times, at least one character each. */
export function collectPrefix(text: string, before: readonly string[] | undefined): readonly string[] {
  checkOption('prefixes', [text], '--prefix');
  return [...(before ?? []), text];
}

/** What --unknown does, for help. */
export const UNKNOWN_HELP =
  'characters that the model does not know: error, skip or nearest (default: error)';

/** A parser for --unknown. */
export function unknownValue(text: string): UnknownPolicy {
  checkUnknownPolicy(text, '--unknown');
  return text;
}
