/** Two columns of text, aligned. */

import { visible } from '../display.js';

/** `name  value` lines; names are ASCII. Values that would pass `columns` go on below, broken at blanks. */
export function table(
  rows: readonly (readonly [string, string])[],
  columns: number = Number.POSITIVE_INFINITY,
): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.flatMap(([name, value]) =>
    wrap(visible(value), columns - width - 2).map((line, index) => [index === 0 ? name : '', line] as const),
  );
  return lines.map(([name, line]) => `${name.padEnd(width)}  ${line}\n`).join('');
}

/** A text in lines of at most `width` characters, but for words that are longer. */
function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && line.length <= width) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines;
}

/** A number of bytes in the largest unit that it fills, such as `79.6 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

/** The driver as its release, where that is known, and the highest version of CUDA that it supports. */
export function driverText(of: { cudaVersion?: string; driverRelease?: string }): string {
  const release = of.driverRelease === undefined ? 'a driver' : `driver ${of.driverRelease}`;
  return `${release} for up to CUDA ${of.cudaVersion}`;
}
