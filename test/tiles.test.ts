/** The check that no tile of the CPU backend keeps sums on the stack: that it sees one that does. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SCRIPT = new URL('../scripts/inner-loops.mjs', import.meta.url);
const { loopsOf } = await import(SCRIPT.href);

/** What loopsOf() tells of a loop. */
interface InnerLoop {
  multiplies: boolean;
  stack: string[];
}

const planted = fileURLToPath(new URL('planted/spilled_tile.rs', import.meta.url));

test.skipIf(process.arch !== 'x64')(
  'a tile with more sums than registers is seen, one with fewer passes',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'gru-native-tiles-'));
    try {
      const loops = (rows: number): InnerLoop[] => {
        const source = join(folder, 'tile.rs');
        const text = readFileSync(planted, 'utf8').replace('; 2]; 9]', `; 2]; ${rows}]`);
        writeFileSync(source, text);
        const options = ['--crate-type', 'lib', '--edition', '2021', '-O', '-A', 'warnings'];
        const out = join(folder, 'tile.s');
        execFileSync('rustc', [...options, '-C', 'codegen-units=1', '--emit', `asm=${out}`, source]);
        return loopsOf(readFileSync(out, 'utf8'), 'avx2::tile').filter((loop: InnerLoop) => loop.multiplies);
      };
      expect(loops(9).some((loop) => loop.stack.length > 0)).toBe(true);
      const six = loops(6);
      expect(six.length).toBeGreaterThan(0);
      expect(six.flatMap((loop) => loop.stack)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
