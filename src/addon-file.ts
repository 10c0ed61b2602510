/**
 * What the head of an addon's file tells before it is loaded, on Linux. A file that was cut off kills the process in
 * dlopen (SIGBUS), and glibc says of one for another processor that there is no such file.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Why a file cannot be loaded. */
export type FileFault = { kind: 'damaged'; received: string } | { kind: 'machine'; machine: string };

/** Processors, as Node names them, by their numbers in ELF headers. */
const MACHINES = new Map([
  [3, 'ia32'],
  [40, 'arm'],
  [62, 'x64'],
  [183, 'arm64'],
]);

/** Reads the ELF header alone, in some 50 microseconds. The table of sections stands last, so every cut is seen. */
export function fileFault(path: string, cpu: string = process.arch): FileFault | undefined {
  const head = Buffer.alloc(64);
  const file = openSync(path, 'r');
  const { size } = fstatSync(file);
  readSync(file, head, 0, head.length, 0);
  closeSync(file);
  if (size === 0) return { kind: 'damaged', received: 'an empty file' };
  if (head.readUInt32BE(0) !== 0x7f454c46) return { kind: 'damaged', received: 'a file of another kind' };
  const machine = MACHINES.get(head.readUInt16LE(18)) ?? 'another processor';
  if (machine !== cpu && [...MACHINES.values()].includes(cpu)) return { kind: 'machine', machine };
  if (head.readUInt16LE(4) !== 0x0102) return undefined; // 32 bits or big-endian: the fields lie elsewhere
  const end = Number(head.readBigUInt64LE(40)) + head.readUInt16LE(58) * head.readUInt16LE(60);
  return end > size ? { kind: 'damaged', received: `the first ${size} of ${end} bytes` } : undefined;
}
