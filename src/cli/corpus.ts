/** `gru-native corpus`: list, fetch and check corpora. */

import type { Command } from 'commander';
import { DEFAULT_CONFIG, type TrainingConfig } from '../config.js';
import { configValue, declareReading, type ReadingFlags, SOURCES_HELP } from './options.js';

interface CheckFlags extends ReadingFlags {
  maxChars?: TrainingConfig['maxChars'];
  json?: boolean;
}

/** Adds the subcommands. */
export function declareCorpus(command: Command): void {
  command
    .command('list')
    .description('the named corpora, and where they are')
    .option('--json', 'print one JSON object a line')
    .action(runList);
  command
    .command('fetch')
    .description('download a named corpus into the cache directory')
    .argument('<name>', 'name of the corpus')
    .option('--offline', 'never reach for the network: only check the cached file')
    .option('--quiet', 'no progress')
    .action(runFetch);
  declareReading(command.command('check'))
    .description('what training would use of a text')
    .argument('<corpus...>', SOURCES_HELP)
    .option(
      '--max-chars <n>',
      `characters to use, or all (default: ${DEFAULT_CONFIG.maxChars})`,
      configValue('maxChars', '--max-chars'),
    )
    .option('--json', 'print one JSON object')
    .action(runCheck);
}

async function runList(flags: { json?: boolean }): Promise<void> {
  const { listCorpora } = await import('../named-corpora.js');
  const { toNdjson } = await import('../events.js');
  for (const { name, description, license, path, available } of listCorpora()) {
    if (flags.json) {
      process.stdout.write(toNdjson({ type: 'corpus', name, description, license, path, available }));
      continue;
    }
    const where = available ? path : `not here; gru-native corpus fetch ${name}`;
    process.stdout.write(`${name}\n  ${description}\n  ${license}\n  ${where}\n`);
  }
}

async function runFetch(name: string, flags: { offline?: boolean; quiet?: boolean }): Promise<void> {
  const { corpusFile, fetchCorpus, listCorpora } = await import('../named-corpora.js');
  const { stopOnSignals } = await import('./stop.js');
  const license = listCorpora().find((corpus) => corpus.name === name)?.license;
  const stop = stopOnSignals(() => {});
  const live = !flags.quiet && process.stderr.isTTY === true && !process.env.CI;
  try {
    const path = flags.offline
      ? await corpusFile(name, { offline: true, signal: stop.signal })
      : await fetchCorpus(name, {
          signal: stop.signal,
          onProgress: ({ receivedBytes, totalBytes }) => {
            const of = totalBytes === undefined ? '' : ` of ${totalBytes}`;
            if (live) process.stderr.write(`\r\x1b[2K${receivedBytes}${of} bytes`);
          },
        });
    if (live) process.stderr.write('\r\x1b[2K');
    if (!flags.quiet && license !== undefined) process.stderr.write(`${license}\n`);
    process.stdout.write(`${path}\n`);
  } finally {
    stop.dispose();
  }
}

async function runCheck(sources: readonly string[], flags: CheckFlags): Promise<void> {
  const { gather, report } = await import('./corpus-check.js');
  const { updatesPerEpoch } = await import('../batches.js');
  const { toNdjson } = await import('../events.js');
  const facts = await gather(sources, flags);
  process.stdout.write(flags.json ? toNdjson({ type: 'corpus-check', ...facts }) : report(facts));
  updatesPerEpoch(facts.characters, DEFAULT_CONFIG); // a text that is too short is an error, told last
}
