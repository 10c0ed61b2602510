/**
 * Reads the texts of a zip archive that may be hostile: entirely in memory, nothing is extracted. Owns the
 * container (central directory, limits, checksums); what the bytes of a text mean is corpus.ts's business.
 */

import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import type { Inflate } from 'fflate';
import { displayName } from './display.js';
import { GruError } from './errors.js';

/** One text of an archive, still undecoded; the bytes belong to the caller. */
export interface ZipText {
  /** Path inside the archive, for display and sorting only. */
  name: string;
  bytes: Uint8Array;
}

/** What an archive may hold; all of it holds while decompressing, whatever the headers declare. */
export interface ZipLimits {
  /** Entries of any kind. */
  entries: number;
  /** Bytes of one text. */
  entryBytes: number;
  /** Bytes of all texts together. */
  totalBytes: number;
  /**
   * Uncompressed over compressed bytes, for a text, and for all together over the archive, above `ratioFromBytes`.
   * Lyrics reach 3 to 20, zeros 1000.
   */
  ratio: number;
  /** Bytes up to which a text, and all together, may compress as well as they like. */
  ratioFromBytes: number;
}

/** The limits that `readZipTexts` applies. */
export const ZIP_LIMITS: ZipLimits = {
  entries: 10_000,
  entryBytes: 256_000_000,
  totalBytes: 512_000_000,
  ratio: 100,
  ratioFromBytes: 1_000_000,
};

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;
const ZIP64_LOCATOR = 0x07064b50;
const STORED = 0;
const DEFLATED = 8;
/** Compressed bytes fed at a time: bounds what one step can produce to about 1032 times as much. */
const STEP_BYTES = 16_384;
/** Compressed bytes that may pass without output; the longest block without any takes 64 KiB. */
const IDLE_BYTES = 131_072;

interface Entry {
  name: string;
  rawName: Buffer;
  encrypted: boolean;
  method: number;
  crc: number;
  compressedBytes: number;
  bytes: number;
  localOffset: number;
}

/** Whether the bytes begin like a zip archive, an empty one included. */
export function isZip(bytes: Uint8Array): boolean {
  return (
    bytes[0] === 0x50 &&
    bytes[1] === 0x4b &&
    ((bytes[2] === 3 && bytes[3] === 4) || (bytes[2] === 5 && bytes[3] === 6))
  );
}

/**
 * The .txt and .lrc entries of an archive in the order of their names' bytes. Folders, other files, `__MACOSX` and dot
 * files are passed over; nested archives stay closed.
 *
 * @param bytes - the whole archive; only read
 * @param label - what messages call the archive
 * @param options.entry - the name of the one entry to read, whatever it ends with
 * @throws GruError GRU_CORPUS when it is damaged, truncated, encrypted, split, zip64, above a limit, holds a name
 * that leaves the archive, a link, a duplicate or overlapping entries, or not the text.
 */
export async function readZipTexts(
  bytes: Uint8Array,
  label: string,
  { limits = ZIP_LIMITS, entry: only }: { limits?: ZipLimits; entry?: string | undefined } = {},
): Promise<ZipText[]> {
  const archive = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refuse = (reason: string, hint = 'Make the archive anew with plain .txt files in it.'): never => {
    throw new GruError('GRU_CORPUS', `${label}: ${reason}`, hint);
  };
  const { entries, directoryOffset } = readDirectory(archive, limits, refuse);
  const starts = locateData(archive, entries, directoryOffset, refuse);
  const texts = entries.filter(({ name }) => (only === undefined ? isText(name) : name === only));
  if (texts.length === 0) {
    const held = entries.slice(0, 5).map((entry) => displayName(entry.name));
    const more = entries.length > held.length ? ` and ${entries.length - held.length} more` : '';
    const expected = only === undefined ? '.txt or .lrc files' : `an entry ${displayName(only)}`;
    refuse(
      `expected ${expected} in the archive, received ${held.length ? held.join(', ') + more : 'no entries'}`,
      only === undefined
        ? 'Put .txt files into it; archives inside archives are not opened.'
        : 'Name one of its entries after the !, with its folders.',
    );
  }
  const declared = texts.reduce((sum, entry) => sum + entry.bytes, 0);
  if (declared > limits.totalBytes) {
    refuse(`expected at most ${limits.totalBytes} bytes of text, received ${declared}`, 'Use fewer texts.');
  }
  const inflater = (await import('fflate')).Inflate; // only here: loading it takes time and memory
  const most = Math.max(limits.ratioFromBytes, limits.ratio * archive.length);
  let unpacked = 0;
  return texts
    .sort((a, b) => Buffer.compare(a.rawName, b.rawName))
    .map((entry) => {
      const start = starts.get(entry) as number;
      const packed = archive.subarray(start, start + entry.compressedBytes);
      const fail = (reason: string) => refuse(`entry ${displayName(entry.name)}: ${reason}`);
      const text = { name: entry.name, bytes: unpack(packed, entry, limits, inflater, fail) };
      unpacked += text.bytes.length;
      if (unpacked > most)
        refuse(`expected at most ${most} bytes of text in ${archive.length}, received more`);
      return text;
    });
}

/** Throws; says what was expected and received in `reason`. */
type Refuse = (reason: string, hint?: string) => never;

/** Reads the end record and the central directory, which must fill the archive's tail exactly. */
function readDirectory(archive: Buffer, limits: ZipLimits, refuse: Refuse) {
  const truncated = 'Download or copy it again; it is cut off or damaged.';
  const end = findEnd(archive);
  if (end < 0) return refuse('expected a zip archive with an end record, received none', truncated);
  if (end >= 20 && archive.readUInt32LE(end - 20) === ZIP64_LOCATOR) refuse('zip64 archives are not read');
  const count = archive.readUInt16LE(end + 10);
  const size = archive.readUInt32LE(end + 12);
  const directoryOffset = archive.readUInt32LE(end + 16);
  if (count === 0xffff || size === 0xffffffff || directoryOffset === 0xffffffff) {
    refuse('zip64 archives are not read');
  }
  if (archive.readUInt32LE(end + 4) !== 0 || archive.readUInt16LE(end + 8) !== count) {
    refuse('expected an archive in one file, received a part of a split one', 'Join the parts first.');
  }
  if (count > limits.entries) refuse(`expected at most ${limits.entries} entries, received ${count}`);
  if (directoryOffset + size !== end) {
    refuse(
      `expected the directory to end at byte ${end}, received ${directoryOffset + size} (cut off, or with bytes added)`,
      truncated,
    );
  }
  const entries: Entry[] = [];
  const names = new Set<string>();
  let at = directoryOffset;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || archive.readUInt32LE(at) !== CENTRAL_HEADER) {
      refuse(`expected ${count} entries in the directory, received ${i}`, truncated);
    }
    const lengths = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset)); // name, extra, comment
    const next = lengths.reduce((sum, length) => sum + length, at + 46);
    if (next > end) refuse(`expected ${count} entries in the directory, received ${i}`, truncated);
    const entry = readEntry(archive, at, refuse);
    if (names.has(entry.name)) refuse(`the name ${displayName(entry.name)} occurs twice`);
    names.add(entry.name);
    entries.push(entry);
    at = next;
  }
  if (at !== end) refuse(`expected ${count} entries in the directory, received more`, truncated);
  return { entries, directoryOffset };
}

/** Offset of the end record whose comment reaches exactly to the end of the file; -1 when there is none. */
function findEnd(archive: Buffer): number {
  const first = Math.max(0, archive.length - 22 - 0xffff);
  for (let at = archive.length - 22; at >= first; at--) {
    if (archive.readUInt32LE(at) !== END_RECORD) continue;
    if (at + 22 + archive.readUInt16LE(at + 20) === archive.length) return at;
  }
  return -1;
}

function readEntry(archive: Buffer, at: number, refuse: Refuse): Entry {
  const flags = archive.readUInt16LE(at + 8);
  const rawName = archive.subarray(at + 46, at + 46 + archive.readUInt16LE(at + 28));
  const name = (flags & 0x800) !== 0 ? rawName.toString('utf8') : unflaggedName(rawName);
  checkName(name, refuse);
  const attributes = archive.readUInt32LE(at + 38);
  if (((attributes >>> 28) & 0xf) === 0xa) refuse(`entry ${displayName(name)} is a symbolic link`);
  const entry: Entry = {
    name,
    rawName,
    encrypted: (flags & 0x2041) !== 0,
    method: archive.readUInt16LE(at + 10),
    crc: archive.readUInt32LE(at + 16),
    compressedBytes: archive.readUInt32LE(at + 20),
    bytes: archive.readUInt32LE(at + 24),
    localOffset: archive.readUInt32LE(at + 42),
  };
  if ([entry.compressedBytes, entry.bytes, entry.localOffset].includes(0xffffffff)) {
    refuse(`entry ${displayName(name)} needs zip64, which is not read`);
  }
  if (archive.readUInt16LE(at + 34) !== 0) {
    refuse('expected an archive in one file, received a part of a split one', 'Join the parts first.');
  }
  return entry;
}

/** Many programs write UTF-8 without saying so, those of Chinese Windows GB18030; anything else is only displayed. */
function unflaggedName(raw: Buffer): string {
  if (isUtf8(raw)) return raw.toString('utf8');
  try {
    return new TextDecoder('gb18030', { fatal: true }).decode(raw);
  } catch {
    return raw.toString('latin1');
  }
}

/** What a name may not be, since it would leave the folder it is unpacked into, though nothing here unpacks. */
const FORBIDDEN_NAMES: [string, RegExp][] = [
  ['an empty one', /^$/],
  ['one with a NUL', /\0/],
  ['one with a backslash', /\\/],
  ['an absolute one', /^\//],
  ['one with a drive letter', /^[A-Za-z]:/],
  ['one with ".."', /(^|\/)\.\.(\/|$)/],
];

function checkName(name: string, refuse: Refuse): void {
  const found = FORBIDDEN_NAMES.find(([, pattern]) => pattern.test(name));
  if (found) refuse(`expected relative entry names, received ${found[0]}: ${displayName(name)}`);
}

/** Offset of each entry's data, after checking that local headers agree and that no two entries share bytes. */
function locateData(archive: Buffer, entries: Entry[], directoryOffset: number, refuse: Refuse) {
  const starts = new Map<Entry, number>();
  let previousEnd = 0;
  let previousName = '';
  for (const entry of [...entries].sort((a, b) => a.localOffset - b.localOffset)) {
    const at = entry.localOffset;
    const shown = displayName(entry.name);
    if (at < previousEnd) refuse(`entries ${previousName} and ${shown} overlap`);
    if (at + 30 > directoryOffset || archive.readUInt32LE(at) !== LOCAL_HEADER) {
      refuse(`entry ${shown}: expected a local header at byte ${at}, received none`);
    }
    const nameEnd = at + 30 + archive.readUInt16LE(at + 26);
    const start = nameEnd + archive.readUInt16LE(at + 28);
    if (start + entry.compressedBytes > directoryOffset) {
      refuse(`entry ${shown}: expected ${entry.compressedBytes} bytes of data, received the directory`);
    }
    const differs = archive.readUInt16LE(at + 8) !== entry.method;
    if (differs || !archive.subarray(at + 30, nameEnd).equals(entry.rawName)) {
      refuse(`entry ${shown}: its two headers differ`);
    }
    starts.set(entry, start);
    previousEnd = start + entry.compressedBytes;
    previousName = shown;
  }
  return starts;
}

function isText(name: string): boolean {
  const parts = name.split('/');
  return /\.(?:txt|lrc)$/i.test(name) && parts[0] !== '__MACOSX' && !(parts.at(-1) as string).startsWith('.');
}

/** The checked bytes of one entry, in memory of their own. */
function unpack(
  packed: Buffer,
  entry: Entry,
  limits: ZipLimits,
  inflater: typeof Inflate,
  fail: Refuse,
): Uint8Array {
  if (entry.encrypted) fail('expected an unencrypted file, received an encrypted one');
  const size = entry.bytes;
  if (size > limits.entryBytes) fail(`expected at most ${limits.entryBytes} bytes, received ${size}`);
  if (size > limits.ratioFromBytes && size > packed.length * limits.ratio) {
    fail(`expected at most ${limits.ratio}-fold compression, received ${size} bytes from ${packed.length}`);
  }
  if (entry.method !== STORED && entry.method !== DEFLATED) {
    fail(`expected method 0 (stored) or 8 (deflate), received ${entry.method}`);
  }
  const out = new Uint8Array(size);
  const length = entry.method === STORED ? copyStored(packed, out) : inflateInto(packed, out, inflater, fail);
  if (length !== size) fail(`expected ${size} bytes, received ${length > size ? 'more' : length}`);
  const crc = crc32(out);
  if (crc !== entry.crc) fail(`expected CRC-32 ${hex(entry.crc)}, received ${hex(crc)}`);
  return out;
}

function copyStored(packed: Buffer, out: Uint8Array): number {
  if (packed.length === out.length) out.set(packed);
  return packed.length;
}

/** Inflates into `out`, stopping at the first byte too many; returns the bytes produced, those too many included. */
function inflateInto(packed: Buffer, out: Uint8Array, inflater: typeof Inflate, fail: Refuse): number {
  let produced = 0;
  let idle = 0;
  const inflate = new inflater((chunk) => {
    if (produced + chunk.length <= out.length) out.set(chunk, produced);
    produced += chunk.length;
    if (chunk.length > 0) idle = 0;
  });
  for (let at = 0; at < packed.length && produced <= out.length; at += STEP_BYTES) {
    try {
      inflate.push(packed.subarray(at, at + STEP_BYTES), at + STEP_BYTES >= packed.length);
    } catch (cause) {
      fail(`expected deflate data, received damaged data (${(cause as Error).message})`);
    }
    idle += STEP_BYTES;
    // fflate keeps what it has not used: without this bound, bytes after the stream's end cost quadratic time.
    if (idle > IDLE_BYTES) fail('expected the deflate data to end, received more');
  }
  return produced;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
