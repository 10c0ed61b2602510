/** Reads a gzip file that may be hostile: a stream that is given up at the first byte too many. */

import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { GruError } from './errors.js';
import { GrowingBytes } from './growing-bytes.js';
import { ZIP_LIMITS, type ZipLimits } from './zip.js';

/** Compressed bytes fed at a time, so that the signal is looked at and little is produced too much. */
const STEP_BYTES = 65_536;

/** Whether the bytes begin like a gzip file. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * What a gzip file holds, all of its members joined. Its checksums and lengths must hold, and nothing but zeros may
 * follow.
 *
 * @param bytes - the whole file; only read
 * @param label - what messages call it
 * @throws GruError GRU_CORPUS when it is cut off, damaged, or above a limit: those of one zip entry
 */
export async function gunzip(
  bytes: Uint8Array,
  label: string,
  signal?: AbortSignal,
  limits: Pick<ZipLimits, 'entryBytes' | 'ratio' | 'ratioFromBytes'> = ZIP_LIMITS,
): Promise<Uint8Array> {
  const refuse = (expected: string, received: string, hint: string) =>
    new GruError('GRU_CORPUS', `${label}: expected ${expected}, received ${received}`, hint);
  const again = 'Download or copy it again; it is cut off or damaged.';
  if (bytes.length < 18) throw refuse('a gzip file of at least 18 bytes', String(bytes.length), again);
  const ratioBytes = Math.max(limits.ratioFromBytes, limits.ratio * bytes.length);
  const limit = Math.min(limits.entryBytes, ratioBytes);
  const tooLarge = () => {
    const expected =
      limit === limits.entryBytes
        ? `at most ${limit} bytes of text`
        : `at most ${limits.ratio}-fold compression`;
    return refuse(expected, `more than ${limit} bytes from ${bytes.length}`, 'Use a part of the text.');
  };
  // The length of the last member, by its own account: right for most files, and only room to begin with.
  const declared = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(
    bytes.length - 4,
    true,
  );
  const out = new GrowingBytes(declared, limit, tooLarge);
  const packed = Readable.from(steps(bytes));
  const stream = packed.pipe(createGunzip());
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      out.push(chunk);
      signal?.throwIfAborted();
    }
    // Node stops at a zero after a member, as at the zeros that fill up a tape, and passes over all that is behind it.
    const end = stream.bytesWritten;
    const behind = bytes.subarray(end).findIndex((byte) => byte !== 0);
    if (behind >= 0) {
      const received = `other bytes after its end at byte offset ${end + behind}`;
      throw refuse('a gzip file with nothing but zeros after it', received, again);
    }
    return out.taken();
  } catch (cause) {
    if (cause instanceof GruError || signal?.aborted) throw cause;
    throw refuse('a whole gzip file', `damaged data (${(cause as Error).message})`, again);
  } finally {
    packed.destroy();
    stream.destroy();
  }
}

function* steps(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += STEP_BYTES) yield bytes.subarray(at, at + STEP_BYTES);
}
