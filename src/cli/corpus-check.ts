/** What `gru-native corpus check` finds out about a corpus, and how it looks on a terminal. */

import { updatesPerEpoch } from '../batches.js';
import { DEFAULT_CONFIG } from '../config.js';
import { assembleCorpus, type LoadCorpusOptions, readTexts } from '../corpus.js';
import {
  characterKinds,
  countLineEndings,
  type LineEndings,
  parameterCount,
  type RepeatedLines,
  repeatedLines,
} from '../corpus-facts.js';
import { visible } from '../display.js';
import type { Encoding, FoundEncoding } from '../encoding.js';
import { toNfc } from '../nfc.js';
import { grouped } from './live-line.js';
import { bytesText, table } from './table.js';
import { columnsOf, cutToColumns, terminalColumns } from './width.js';

/** Texts that are listed, and characters of a kind. */
const LISTED = 10;
/** Characters that occur once, of which so many are told. */
const TOLD_SINGLETONS = 40;

/** The facts, in the form in which `--json` prints them. */
export interface CorpusCheck {
  name: string;
  /** Characters used, and those that there are. */
  characters: number;
  totalCharacters: number;
  sha256: string;
  /** Kinds of the characters used. */
  vocabSize: number;
  /** How many of these occur once, and the first of them. */
  singletons: number;
  firstSingletons: string[];
  fullWidth: number;
  unusual: { character: string; count: number }[];
  encodings: readonly FoundEncoding[];
  lineEndings: LineEndings;
  /** Lines of all of the text. */
  repeated: RepeatedLines;
  /** Whether the text is NFC, or was made it. */
  nfc: boolean;
  files: { name: string; bytes: number; encoding: Encoding }[];
  /** Of a run with the default options; null where the text is too short for one. */
  updatesPerEpoch: number | null;
  parameters: number;
}

/** Reads a corpus and looks at it. */
export async function gather(sources: readonly string[], options: LoadCorpusOptions): Promise<CorpusCheck> {
  const lineEndings = { lf: 0, crlf: 0, cr: 0 };
  const texts = await readTexts(sources, options, process.stdin, (bytes) =>
    countLineEndings(bytes, lineEndings),
  );
  const repeated = repeatedLines(texts);
  let nfc = true;
  for (const { bytes, label } of texts) {
    const composed = await toNfc(bytes, { label, signal: options.signal }).catch(() => undefined);
    nfc &&= composed === bytes;
  }
  const files = texts.map(({ name, size, encoding }) => ({ name, bytes: size, encoding }));
  const { name, text, characters, totalCharacters, sha256, encodings } = assembleCorpus(
    texts,
    sources,
    options,
  );
  const { kinds, singletons, fullWidth, unusual } = characterKinds(text);
  return {
    name,
    characters,
    totalCharacters,
    sha256,
    vocabSize: kinds,
    singletons: singletons.length,
    firstSingletons: singletons.slice(0, TOLD_SINGLETONS),
    fullWidth,
    unusual: unusual.slice(0, LISTED),
    encodings,
    lineEndings,
    repeated,
    nfc,
    files,
    updatesPerEpoch: updatesOf(characters),
    parameters: parameterCount(kinds, DEFAULT_CONFIG.hiddenSize),
  };
}

function updatesOf(characters: number): number | null {
  try {
    return updatesPerEpoch(characters, DEFAULT_CONFIG);
  } catch {
    return null;
  }
}

/** The facts as a table no wider than the terminal. */
export function report(facts: CorpusCheck): string {
  const { lf, crlf, cr } = facts.lineEndings;
  const endings = [`LF ${grouped(lf)}`, `CRLF ${grouped(crlf)}`, `CR ${grouped(cr)}`];
  const rows: [string, string][] = [
    ['corpus', visible(facts.name)],
    ['characters', `${grouped(facts.characters)} used of ${grouped(facts.totalCharacters)}`],
    ['kinds', `${grouped(facts.vocabSize)}, of which ${grouped(facts.singletons)} occur once`],
  ];
  if (facts.singletons > 0) rows.push(['', facts.firstSingletons.map(visible).join(' ')]);
  rows.push(
    ['encoding', facts.encodings.map((encoding) => encoding.toUpperCase()).join(', ')],
    ['line endings', endings.join(', ')],
    ...repetition(facts.repeated),
    ['NFC', facts.nfc ? 'yes' : 'no; --nfc composes characters'],
  );
  if (facts.fullWidth > 0)
    rows.push(['full width', `${grouped(facts.fullWidth)} spaces, marks and letters, kept as they are`]);
  if (facts.unusual.length > 0) rows.push(['unusual', facts.unusual.map(counted).join(', ')]);
  rows.push(['SHA-256', facts.sha256], ...training(facts));
  const columns = terminalColumns();
  const nameColumns = Math.max(...rows.map(([name]) => name.length)) + 2;
  const cut = (value: string) => cutToColumns(value, columns - nameColumns);
  return table(rows.map(([name, value]) => [name, cut(value)])) + list(facts, columns);
}

function repetition({ lines, distinct, truncated, most }: RepeatedLines): [string, string][] {
  const repeats = lines - distinct;
  const share = lines === 0 ? '0' : ((100 * repeats) / lines).toFixed(1);
  const of = truncated ? ', of the lines that were compared' : '';
  return [
    ['lines', `${grouped(lines)}, of which ${grouped(repeats)} (${share} %) repeat an earlier one${of}`],
    ...most.map(({ line, count }): [string, string] => ['', `${grouped(count)} times ${visible(line)}`]),
  ];
}

function counted({ character, count }: { character: string; count: number }): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `U+${code} ${grouped(count)} times`;
}

function training({ updatesPerEpoch: updates, vocabSize, parameters }: CorpusCheck): [string, string][] {
  const { batchSize, numSteps, hiddenSize } = DEFAULT_CONFIG;
  return [
    ...(updates === null
      ? []
      : [
          [
            'training',
            `${grouped(updates)} updates an epoch with batch size ${batchSize} and ${numSteps} steps`,
          ] as [string, string],
        ]),
    [
      'model',
      `${grouped(parameters)} parameters: ${grouped(vocabSize)} characters, ${hiddenSize} hidden units`,
    ],
  ];
}

/** The texts, where there are several, with their sizes. */
function list({ files }: CorpusCheck, columns: number): string {
  if (files.length < 2) return '';
  const rows = files.slice(0, LISTED).map(({ name, bytes, encoding }) => {
    const facts = `  ${bytesText(bytes).padStart(10)}  ${encoding.toUpperCase().padEnd(8)}  `;
    return `${facts}${cutToColumns(visible(name), columns - columnsOf(facts))}\n`;
  });
  const more = files.length > LISTED ? `  and ${grouped(files.length - LISTED)} more\n` : '';
  return `${grouped(files.length)} texts\n${rows.join('')}${more}`;
}
