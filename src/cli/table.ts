/** Two columns of text, aligned. */

import { visible } from '../display.js';

/** `name  value` lines; names are ASCII. */
export function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${visible(value)}\n`).join('');
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
