/** The live line: on a terminal only, cut to its width, drawn now and then, and wiped. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { duration, LiveLine } from '../../src/cli/live-line.js';

let written: string;
const isTTY = process.stderr.isTTY;

beforeEach(() => {
  written = '';
  vi.stubEnv('CI', '');
  vi.stubEnv('TERM', 'xterm');
  vi.stubEnv('NO_COLOR', '1');
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written += text;
    return true;
  });
  process.stderr.isTTY = true;
});

afterEach(() => {
  process.stderr.isTTY = isTTY;
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

test('is drawn over what was there, cut to the width, and not too often', () => {
  const line = new LiveLine();
  expect(line.due).toBe(true);
  line.draw(['one', 'two']);
  expect(written).toContain('\r\x1b[2K');
  expect(written).toContain('one · two');
  expect(line.due).toBe(false);
  written = '';
  line.draw(['x'.repeat(10_000)]);
  expect(written.length).toBeLessThan(1000);
});

test('is wiped once, and only where it was drawn', () => {
  const line = new LiveLine();
  line.wipe();
  expect(written).toBe('');
  line.draw(['one']);
  written = '';
  line.wipe();
  line.wipe();
  expect(written).toBe('\r\x1b[2K');
});

test('is never due without a terminal, in CI, on a dumb terminal, or when not wanted', () => {
  expect(new LiveLine(false).due).toBe(false);
  process.stderr.isTTY = false;
  expect(new LiveLine().due).toBe(false);
  process.stderr.isTTY = true;
  vi.stubEnv('TERM', 'dumb');
  expect(new LiveLine().due).toBe(false);
  vi.stubEnv('TERM', 'xterm');
  vi.stubEnv('CI', 'true');
  expect(new LiveLine().due).toBe(false);
});

test.each([
  [-1, '0 s'],
  [59.4, '59 s'],
  [60, '1 min 0 s'],
  [3599, '59 min 59 s'],
  [7260, '2 h 1 min'],
])('%d seconds are said as %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
