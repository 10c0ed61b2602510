/** Timed lyrics: what is stripped, in which order lines come, and lines that are attacks. */

import { describe, expect, it } from 'vitest';
import { plainLyrics } from '../../src/lrc.js';

const words = (text: string) => Buffer.from(plainLyrics(Buffer.from(text), 'a.lrc')).toString('utf8');

describe('timed lyrics', () => {
  it.each([
    ['[00:10.00]末班车\n[00:20.00]到了', '末班车\n到了\n'],
    ['[00:10]a\n[0:20.5]b\n[00:21:50]c\n[100:00.123]d', 'a\nb\nc\nd\n'],
    ['[ti:末班车]\n[ar: 谁]\n[offset:+500]\n[length: 03:12]\n[#:x]\n[re:www]\r\n[00:01.00]a', 'a\n'],
    ['[00:01.00]a\r\n[00:02.00]b\r[00:03.00]c', 'a\nb\nc\n'],
    ['[00:12.00] <00:12.04> When <00:12.16> the <00:12.82>truth <00:13>', 'When the truth\n'],
    ['[00:12.00]<00:12.04>末<00:12.16>班<00:12.82>车', '末班车\n'],
    ['[00:12.34]你[00:12.60]好[00:13.00]', '你好\n'],
    // A chorus is sung where its times are.
    ['[00:10.00][01:20.00]chorus\n[00:30.00]verse\n[01:00.00]more', 'chorus\nverse\nmore\nchorus\n'],
    ['[00:30.00]b\n[00:10.00]a', 'a\nb\n'],
    ['[00:10.00]first\n[00:10.00]second', 'first\nsecond\n'],
    ['[00:09.9]a\n[00:09.25]b\n[00:09.10]c', 'c\nb\na\n'],
    // What has no time stays under the line before it, and before all times at the beginning.
    [
      'about\n[00:20.00]b\ntranslated b\n[00:10.00][00:30.00]a\ntranslated a',
      'about\na\ntranslated a\nb\ntranslated b\na\ntranslated a\n',
    ],
    ['[00:10.00]\n\n[00:20.00]a\n  \n', 'a\n'],
    ['[00:10.00][Chorus: all] oh', '[Chorus: all] oh\n'],
    ['[Verse 1: all]', '[Verse 1: all]\n'],
    ['[x] y [z]\n<b>\n[12345:00]a\n[00:1]b', '[x] y [z]\n<b>\n[12345:00]a\nb\n'],
    ['', ''],
    ['[ti:x]', ''],
  ])('%j becomes %j', (text, plain) => {
    expect(words(text)).toBe(plain);
  });

  it('takes linear time for lines that go on for ever', () => {
    const attacks = [
      '[',
      '[a:',
      '<',
      '<00:',
      '[00:',
      ' ',
      '[00:00',
      ']',
      '[00:00]',
      '<00:00>',
      ' <00:00> ',
      '[00:00] ',
      '\n',
      'a\n',
      '[1:1]a\n',
    ];
    const begun = performance.now();
    for (const part of attacks) words(part.repeat(Math.ceil(400_000 / part.length)));
    for (const part of attacks) words(`[00:01]${part.repeat(Math.ceil(400_000 / part.length))}x`);
    expect(performance.now() - begun).toBeLessThan(8000);
  });

  it('refuses a line that is repeated into a huge text, and a file that is no song', () => {
    expect(() => words(`${'[00:00]'.repeat(10_000)}${'words '.repeat(100)}`)).toThrow(
      /^a\.lrc: expected at most 1000000 characters with every repetition of timed lyrics, received 6000000$/,
    );
    expect(() => words('a'.repeat(1_000_001))).toThrow(/expected at most 1000000 bytes .* received 1000001$/);
  });
});
