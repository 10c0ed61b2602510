/** `gru-native generate`: writes lyrics from prefixes. */

import type { Command } from 'commander';
import { DEFAULT_CONFIG, type DeviceName } from '../config.js';
import type { PrefixReport } from '../generator.js';
import { DEFAULT_SAMPLING } from '../sampling.js';
import type { UnknownPolicy } from '../unknown.js';
import {
  collectPrefix,
  configValue,
  DEFAULT_OUT,
  numberValue,
  tellGpuWait,
  UNKNOWN_HELP,
  unknownValue,
} from './options.js';

interface GenerateFlags {
  prefix?: readonly string[];
  length?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  repetitionPenalty?: number;
  seed?: number;
  count?: number;
  unknown?: UnknownPolicy;
  vocabulary?: string;
  device?: DeviceName;
  json?: boolean;
}

/** Adds arguments and options. */
export function declareGenerate(command: Command): void {
  const { temperature, topK, topP, repetitionPenalty } = DEFAULT_SAMPLING;
  command
    .argument('[model]', 'model file or directory', DEFAULT_OUT)
    .option(
      '--prefix <text>',
      'what a lyric begins with; may be repeated (default: those the model was trained with)',
      collectPrefix,
    )
    .option(
      '--length <n>',
      `characters written after the prefix (default: ${DEFAULT_CONFIG.sampleLength})`,
      numberValue('--length'),
    )
    .option(
      '--temperature <x>',
      `0 takes the likeliest character, 1 samples as learnt (default: ${temperature})`,
      numberValue('--temperature'),
    )
    .option(
      '--top-k <n>',
      `choose among the n likeliest characters, 0 for all (default: ${topK})`,
      numberValue('--top-k'),
    )
    .option(
      '--top-p <x>',
      `choose among the likeliest that together reach this probability (default: ${topP})`,
      numberValue('--top-p'),
    )
    .option(
      '--repetition-penalty <x>',
      `above 1 makes recent characters less likely (default: ${repetitionPenalty})`,
      numberValue('--repetition-penalty'),
    )
    .option('--seed <n>', 'seed of the random numbers (default: 0)', configValue('seed', '--seed'))
    .option(
      '--count <n>',
      'texts for each prefix, with the seeds seed, seed + 1 and so on (default: 1)',
      numberValue('--count'),
    )
    .option('--unknown <policy>', UNKNOWN_HELP, unknownValue)
    .option('--vocabulary <file>', 'JSON array of characters in id order, for a model file that holds none')
    .option(
      '--device <name>',
      'auto, cpu, cuda or cuda:N (default: auto, here the CPU)',
      configValue('device', '--device'),
    )
    .option('--json', 'print one JSON object a line')
    .action(runGenerate);
}

async function runGenerate(path: string, flags: GenerateFlags): Promise<void> {
  const { LanguageModel } = await import('../model.js');
  const { toNdjson } = await import('../events.js');
  const { prefixesOfTexts } = await import('../generator.js');
  const { displayName } = await import('../display.js');
  const { tellUnknown } = await import('./notes.js');
  const { prefix, vocabulary, device, json, ...options } = flags;
  await using model = await LanguageModel.load(path, { vocabulary, device, onGpuWait: tellGpuWait });
  const prefixes = prefix ?? defaultPrefixes(model);
  const texts = prefixesOfTexts(prefixes, options.count);
  const read = new Map<string, string>();
  const onUnknown = (report: PrefixReport) => {
    if (!read.has(report.prefix)) tellUnknown(report, `the prefix ${displayName(report.prefix)}`);
    read.set(report.prefix, report.read);
  };
  const beginning = (text: number) => read.get(texts[text] as string) ?? (texts[text] as string);
  // On a screen the first text grows as it is written; those beside it come after it, whole.
  const written = texts.map((): string[] => []);
  let begun = false;
  for await (const pieces of model.streamAll(prefixes, { ...options, onUnknown })) {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0 || json) written[index]?.push(piece);
      else process.stdout.write(begun ? piece : beginning(0) + piece);
    }
    begun = true;
  }
  for (const [index, pieces] of written.entries()) {
    const prefix = beginning(index);
    const text = prefix + pieces.join('');
    const event = { type: 'sample', epoch: model.metadata?.epochs ?? 0, prefix, text };
    if (json) process.stdout.write(toNdjson(event));
    else process.stdout.write(index === 0 && begun ? '\n' : `${text}\n`);
  }
}

/** The prefixes of the model's training, else the usual ones that it can read, else its first character. */
function defaultPrefixes(model: import('../model.js').LanguageModel): readonly string[] {
  const trained = model.metadata?.config.prefixes ?? [];
  if (trained.length > 0) return trained;
  const usual = DEFAULT_CONFIG.prefixes.filter((text) => model.vocabulary.covers(text));
  return usual.length > 0 ? usual : model.vocabulary.characters.slice(0, 1);
}
