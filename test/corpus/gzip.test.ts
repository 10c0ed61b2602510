/** Gzip files: what is read, and attacks that must end in a GruError, and soon. */

import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { GruError } from '../../src/errors.js';
import { gunzip, isGzip } from '../../src/gzip.js';

const TEXT = '末班车到了 '.repeat(30_000);

async function refusal(bytes: Uint8Array): Promise<GruError> {
  const thrown: unknown = await gunzip(bytes, 'a.gz').catch((error) => error);
  expect(thrown).toBeInstanceOf(GruError);
  expect(thrown).toMatchObject({
    code: 'GRU_CORPUS',
    message: expect.stringMatching(/^a\.gz: expected .*, received /),
  });
  expect((thrown as GruError).hint).not.toBe('');
  return thrown as GruError;
}

describe('gzip', () => {
  it('gives what was packed, all members of it', async () => {
    const packed = gzipSync(TEXT);
    expect(isGzip(packed)).toBe(true);
    const before = Buffer.from(packed);
    expect(Buffer.from(await gunzip(packed, 'a.gz')).toString()).toBe(TEXT);
    expect(before.equals(packed)).toBe(true);
    const two = Buffer.concat([gzipSync('one '), gzipSync(TEXT)]);
    expect(Buffer.from(await gunzip(two, 'a.gz')).toString()).toBe(`one ${TEXT}`);
    expect((await gunzip(gzipSync(''), 'a.gz')).length).toBe(0);
  });

  it('refuses what is cut at any length', async () => {
    const packed = gzipSync('some text to cut');
    for (let length = 0; length < packed.length; length++) await refusal(packed.subarray(0, length));
    expect((await refusal(packed.subarray(0, -1))).message).toMatch(
      /damaged data \(unexpected end of file\)$/,
    );
  });

  it('refuses every flipped bit that changes the text, and bytes after the end', async () => {
    const text = 'what is flipped must not change the text unseen';
    const packed = gzipSync(text);
    for (let bit = 0; bit < packed.length * 8; bit++) {
      const broken = Buffer.from(packed);
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7));
      const read = await gunzip(broken, 'a.gz').catch((error) => error);
      if (read instanceof GruError) continue;
      expect(Buffer.from(read).toString()).toBe(text);
    }
    await refusal(Buffer.concat([packed, Buffer.from('trailing bytes')]));
  });

  it('loses nothing behind zeros, which alone may fill up a file', async () => {
    const packed = gzipSync('one');
    for (const zeros of [1, 512, 1 << 16, 100_000]) {
      const filled = Buffer.concat([packed, Buffer.alloc(zeros)]);
      expect(Buffer.from(await gunzip(filled, 'a.gz')).toString()).toBe('one');
      const error = await refusal(Buffer.concat([filled, gzipSync('two')]));
      expect(error.message).toBe(
        'a.gz: expected a gzip file with nothing but zeros after it, ' +
          `received other bytes after its end at byte offset ${filled.length}`,
      );
    }
  });

  it('refuses a bomb at its limit, soon and in little memory', async () => {
    const bomb = gzipSync(Buffer.alloc(400_000_000));
    const before = process.memoryUsage().arrayBuffers;
    const begun = performance.now();
    const error = await refusal(bomb);
    expect(error.message).toMatch(/at most 100-fold compression, received more than \d+ bytes from \d+$/);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200_000_000);
  });

  it('holds its limit of bytes exactly', async () => {
    const limits = { entryBytes: 1000, ratio: 100, ratioFromBytes: 1_000_000 };
    expect((await gunzip(gzipSync('x'.repeat(1000)), 'a.gz', undefined, limits)).length).toBe(1000);
    await expect(gunzip(gzipSync('x'.repeat(1001)), 'a.gz', undefined, limits)).rejects.toThrow(
      /expected at most 1000 bytes of text, received more than 1000 bytes from \d+$/,
    );
  });

  it('stops on request', async () => {
    const random = Buffer.from(
      Array.from({ length: 1_000_000 }, (_, at) => (Math.imul(at, 2654435761) >>> 13) & 0xff),
    );
    await expect(gunzip(gzipSync(random), 'a.gz', AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
