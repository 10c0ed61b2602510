/** What of ThreadSanitizer's reports counts, scripts/sanitizers.mjs. */

import { expect, test } from 'vitest';

const { racesIn } = await import(new URL('../scripts/sanitizers.mjs', import.meta.url).href);

/** A report of two accesses by these files, of memory that a third allocated. */
const report = (read: string, write: string, allocated = 'library/alloc/src/alloc.rs') => `
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Read of size 8 at 0x1 by thread T2:
    #0 read library/core/src/ptr/mod.rs:1 (BuildId: 1)
    #1 ours ${read}:1:2 (BuildId: 1)

  Previous write of size 8 at 0x1 by thread T1:
    #0 write ${write}:1 (BuildId: 1)

  Location is heap block of size 80 at 0x1 allocated by thread T1:
    #0 alloc ${allocated}:1 (BuildId: 1)
SUMMARY: ThreadSanitizer: data race library/core/src/ptr/mod.rs:1 in read
==================
`;
const CPU = '/home/crates/gru-core/src/cpu';

test('races of the CPU backend count, in its own frames or in those it calls', () => {
  const races = [
    report(`${CPU}/workers.rs`, 'library/core/src/ptr/mod.rs'),
    report('library/std/x.rs', `${CPU}/backward.rs`),
  ];
  expect(racesIn(races.join(''))).toHaveLength(2);
});

test('those of the test harness and of what waits on a condition do not', () => {
  const others = [
    report('library/std/x.rs', 'library/std/y.rs', `${CPU}/allocation_tests.rs`),
    report(`${CPU}/allocation_tests.rs`, 'library/std/y.rs'),
    report(`${CPU}/turn.rs`, `${CPU}/turn.rs`),
    'test result: ok',
  ];
  expect(racesIn(others.join(''))).toEqual([]);
});
