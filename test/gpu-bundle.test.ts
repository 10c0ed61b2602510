/** What a GPU bundle takes along, and how check.sh finds a place to run from; no bundle is built. */

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { corpusFile } from '../src/named-corpora.js';

const { corpusAtHand } = await import(new URL('../scripts/corpus-at-hand.mjs', import.meta.url).href);

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'gru-native-bundle-'));
  folders.push(path);
  return path;
}

describe("the chapter's corpus", () => {
  afterEach(() => vi.unstubAllEnvs());

  test('is looked for in the cache, and may be missing', async () => {
    const cache = folder();
    vi.stubEnv('GRU_NATIVE_JAYCHOU', '');
    vi.stubEnv('GRU_NATIVE_CACHE', cache);
    expect(await corpusAtHand(corpusFile)).toBeUndefined();
    const asked: unknown[] = [];
    const found = async (...args: unknown[]) => {
      asked.push(...args);
      return '/there.zip';
    };
    expect(await corpusAtHand(found)).toBe('/there.zip');
    expect(asked).toEqual(['jaychou', { offline: true }]);
    // Another file in its place is not left out in silence.
    mkdirSync(join(cache, 'corpora'));
    writeFileSync(join(cache, 'corpora', 'jaychou_lyrics.txt.zip'), 'not it');
    await expect(corpusAtHand(corpusFile)).rejects.toThrow('expected 53443 bytes');
  });

  test('is an error where the variable names no file', async () => {
    vi.stubEnv('GRU_NATIVE_JAYCHOU', join(folder(), 'nothing.zip'));
    await expect(corpusAtHand(corpusFile)).rejects.toThrow('received no file');
  });
});

describe.skipIf(process.platform === 'win32')('check.sh', () => {
  /** A bundle whose Node is a script that says where it lies and exits with 7. */
  function bundle(): string {
    const path = folder();
    mkdirSync(join(path, 'bin'));
    copyFileSync(new URL('../bench/gpu/check.sh', import.meta.url), join(path, 'check.sh'));
    const script = (name: string, lines: string[]) =>
      writeFileSync(join(path, name), `#!/bin/sh\n${lines.join('\n')}\n`, { mode: 0o755 });
    script('node.xz', ['echo "$0"', 'exit 7']);
    script('bin/xz', ['shift', 'exec cat "$1"']); // nothing is packed
    return path;
  }
  function run(path: string, temporary: string) {
    const PATH = `${join(path, 'bin')}${delimiter}${process.env.PATH}`;
    const env = { ...process.env, PATH, TMPDIR: temporary };
    return spawnSync('sh', [join(path, 'check.sh')], { env, encoding: 'utf8' });
  }

  test('runs Node from the folder for temporary files and leaves nothing there', () => {
    const [path, temporary] = [bundle(), folder()];
    const { status, stdout } = run(path, temporary);
    expect(status).toBe(7);
    expect(stdout).toMatch(new RegExp(`^${temporary}/gru-native-\\w+/node\n$`));
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('goes elsewhere if there is none, and into the bundle if no program can be started there', () => {
    const path = bundle();
    expect(run(path, '/no/such/folder').status).toBe(7);
    // What a mount without programs does: nothing outside of the bundle becomes executable.
    const chmod = ['case "$2" in', `${path}/gru-native-*) exec /bin/chmod "$@" ;;`, 'esac'];
    writeFileSync(join(path, 'bin/chmod'), `#!/bin/sh\n${chmod.join('\n')}\n`, { mode: 0o755 });
    const { status, stdout } = run(path, folder());
    expect(status).toBe(7);
    expect(stdout).toMatch(new RegExp(`^${path}/gru-native-\\w+/node\n$`));
    expect(readdirSync(path).filter((name) => name.startsWith('gru-native-'))).toEqual([]);
  });

  test('says so where nothing can be started at all', () => {
    const path = bundle();
    writeFileSync(join(path, 'bin/chmod'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    const { status, stderr } = run(path, folder());
    expect(status).toBe(1);
    expect(stderr).toContain('set TMPDIR');
  });
});
