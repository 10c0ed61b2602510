/** What `gru-native doctor --kernels` prints for people: which kernels run the time steps, in 80 columns. */

import type { KernelChoice } from '../native.js';

type Cells = readonly string[];

const HEADINGS = ['precision', 'hidden size', 'time steps'];
const TOLD_HEADINGS = ['at once', 'registers', 'shared'];

/** The whole text: a table for each generation of GPUs, and what the words in it mean. */
export function kernelsText(choices: readonly KernelChoice[]): string {
  const lines = ['kernels of the time steps'];
  for (const [heading, rows] of generations(choices)) {
    const told = rows.some(({ registers }) => registers !== undefined);
    const cells = rows.map((row, index) => [
      row.precision === rows[index - 1]?.precision ? '' : row.precision,
      ...whatRuns(row),
      ...(told ? whatIsTold(row) : []),
    ]);
    lines.push('', heading, ...aligned([told ? [...HEADINGS, ...TOLD_HEADINGS] : HEADINGS, ...cells]));
  }
  return `${[...lines, '', ...legend(choices)].join('\n')}\n`;
}

/** Each generation's rows; generations whose rows differ in nothing have one heading. */
function generations(choices: readonly KernelChoice[]): [heading: string, rows: KernelChoice[]][] {
  const rowsOf = new Map<string, KernelChoice[]>();
  for (const row of choices) rowsOf.set(nameOf(row), [...(rowsOf.get(nameOf(row)) ?? []), row]);
  const found = new Map<string, { names: string[]; rows: KernelChoice[] }>();
  for (const [name, rows] of rowsOf) {
    const what = JSON.stringify(rows.map(({ oldestCapability, newestCapability, ...row }) => row));
    const same = found.get(what);
    if (same === undefined) found.set(what, { names: [name], rows });
    else same.names.push(name);
  }
  return [...found.values()].map(({ names, rows }) => [`compute capability ${names.join(', ')}`, rows]);
}

function nameOf({ oldestCapability: oldest, newestCapability: newest }: KernelChoice): string {
  if (newest === undefined) return `${oldest} and newer`;
  return newest === oldest ? oldest : `${oldest} to ${newest}`;
}

function whatRuns({ fewestHidden, mostHidden, way, blocks, lanes }: KernelChoice): Cells {
  const from = fewestHidden === 1 ? 'any' : `${fewestHidden} and more`;
  const sizes = mostHidden === undefined ? from : `${fewestHidden} to ${mostHidden}`;
  const kind = way === 'cluster' ? 'clusters' : 'groups';
  return [sizes, way === 'steps' ? 'one launch a step' : `${kind} of ${blocks}, ${lanes} lanes`];
}

function whatIsTold({ groupsAtOnce, registers, sharedBytes }: KernelChoice): Cells {
  const kibibytes = sharedBytes?.map((bytes) => Math.ceil(bytes / 1024));
  return [pair(groupsAtOnce), pair(registers), kibibytes === undefined ? '' : `${pair(kibibytes)} KiB`];
}

/** One number where forward and backward have the same. */
function pair(numbers: readonly number[] = []): string {
  return [...new Set(numbers)].join('/');
}

/** Rows in columns that are as wide as their widest cell. */
function aligned(rows: readonly Cells[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
}

function legend(choices: readonly KernelChoice[]): string[] {
  const told = choices.some(({ groupsAtOnce }) => groupsAtOnce !== undefined);
  const asked = choices.some(({ registers }) => registers !== undefined);
  return [
    'one launch a step: the recurrence is computed in fp32 whatever the precision.',
    'clusters of 8, 4 lanes: 8 blocks keep the recurrent weights on the chip and',
    'run 4 lanes of the batch through all steps; groups likewise, on GPUs without',
    'clusters, where all of a batch must fit at once.',
    ...(told ? ['at once: clusters or groups that the GPU holds.'] : []),
    asked ? 'Two numbers: forward/backward.' : 'No GPU: not asked how many of them it holds at once.',
  ];
}
