/** Copies of the addon that a Linux system refuses for real: each has one thing in its ELF file changed. */

import { readFileSync } from 'node:fs';
import { addonPath } from '../src/native.js';

/** The addon's bytes. */
export function addonBytes(): Buffer {
  return readFileSync(addonPath);
}

/** The hash of a symbol version's name, as the System V ABI defines it for ELF. */
function elfHash(name: string): number {
  let hash = 0;
  for (const byte of Buffer.from(name)) {
    hash = hash * 16 + byte;
    const high = hash >>> 28;
    hash = (hash & 0x0fffffff) ^ (high << 4);
  }
  return hash >>> 0;
}

/** One that needs a glibc which does not exist, such as 9.34; gives its version too. */
export function needingNewGlibc(): { bytes: Buffer; version: string } {
  const bytes = addonBytes();
  const at = bytes.indexOf('GLIBC_2.');
  const name = bytes.toString('latin1', at, bytes.indexOf(0, at));
  const newer = name.replace('_2.', '_9.');
  bytes.write(newer, at, 'latin1');
  const hash = Buffer.alloc(4);
  hash.writeUInt32LE(elfHash(name));
  // Versions are told apart by their hashes: one for each library that the version is needed of.
  for (let place = bytes.indexOf(hash); place !== -1; place = bytes.indexOf(hash, place + 4)) {
    bytes.writeUInt32LE(elfHash(newer), place);
  }
  return { bytes, version: newer.slice('GLIBC_'.length) };
}

/** One for another processor, by its number in ELF headers. */
export function forMachine(number: number): Buffer {
  const bytes = addonBytes();
  bytes.writeUInt16LE(number, 18);
  return bytes;
}

/** One that needs a library of that name in place of its first one. */
export function needingLibrary(name: string): Buffer {
  const bytes = addonBytes();
  const number = (at: number) => Number(bytes.readBigUInt64LE(at));
  const sections = Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => number(40) + 64 * index);
  const [DYNAMIC, DT_NEEDED] = [6, 1];
  const dynamic = sections.find((at) => bytes.readUInt32LE(at + 4) === DYNAMIC) as number;
  const strings = sections[bytes.readUInt32LE(dynamic + 40)] as number;
  // The name goes over the longest in the table: the library is looked for before any function is.
  const place = bytes.indexOf('napi_register_module_v1', number(strings + 24));
  const end = number(strings + 24) + number(strings + 32);
  if (place === -1 || place + name.length + 1 > end) throw new Error('expected room for a name in the addon');
  bytes.write(`${name}\0`, place, 'latin1');
  for (let entry = number(dynamic + 24); ; entry += 16) {
    if (number(entry) !== DT_NEEDED) continue;
    bytes.writeBigUInt64LE(BigInt(place - number(strings + 24)), entry + 8);
    return bytes;
  }
}
