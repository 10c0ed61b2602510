/** Blocks that grow and blocks that are given back; and that no text is given back too early. */

import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { type LoadCorpusOptions, loadCorpus } from '../../src/corpus.js';
import { GrowingBytes, release } from '../../src/growing-bytes.js';

describe('a block that grows', () => {
  it('holds what was written, from any size and up to its limit', () => {
    for (const expected of [0, 1, 5, 1000]) {
      const bytes = new GrowingBytes(expected, 27, () => new Error('too large'));
      for (const part of ['末班', '', 'a', '😀', 'é']) bytes.pushText(part);
      bytes.push(Buffer.from('歌'.repeat(4)));
      expect(bytes.length).toBe(25);
      expect(Buffer.from(bytes.taken()).toString()).toBe('末班a😀é歌歌歌歌');
      expect(() => bytes.pushText('歌')).toThrow('too large');
      bytes.pushText('ab');
      expect(() => bytes.push(Uint8Array.of(1))).toThrow('too large');
    }
  });

  it('holds nothing where nothing is allowed', () => {
    for (const limit of [0, -1]) {
      const bytes = new GrowingBytes(5, limit, () => new Error('too large'));
      expect(bytes.taken().length).toBe(0);
      expect(() => bytes.pushText('a')).toThrow('too large');
      expect(() => bytes.push(Uint8Array.of(1))).toThrow('too large');
    }
  });
});

describe('a block that is given back', () => {
  it('is empty, unless it is small', async () => {
    const large = Buffer.allocUnsafeSlow(1 << 20);
    await release(large);
    expect(large.length).toBe(0);
    const small = Buffer.from('small');
    await release(small);
    expect(small.toString()).toBe('small');
  });

  const LINE = '末班车\n';
  const text = LINE.repeat(200_000);
  const gbk = Buffer.concat(Array(200_000).fill(Buffer.from('c4a9b0e0b3b50a', 'hex')));
  it.each<[string, Uint8Array, LoadCorpusOptions]>([
    ['UTF-8', Buffer.from(text), {}],
    ['UTF-8 after a mark', Buffer.from(`\ufeff${text}`), {}],
    ['UTF-8 that is NFC', Buffer.from(text), { nfc: true }],
    ['GB18030', gbk, {}],
    ['GB18030 as NFC', gbk, { nfc: true }],
    ['UTF-16', Buffer.from(`\ufeff${text}`, 'utf16le'), {}],
    ['gzip', gzipSync(gbk, { level: 0 }), {}],
    ['zip', zipSync({ 'a.txt': [gbk, { level: 0 }] }), {}],
  ])('is never one that is still needed: %s', async (_, bytes, options) => {
    const corpus = await loadCorpus('-', { maxChars: 'all', ...options }, Readable.from([bytes]));
    expect(corpus.text === text.replaceAll('\n', ' ')).toBe(true);
  });
});
