/** Changes of bytes that mean something to a parser, as inputs for fuzzing. */

import fc from 'fast-check';

/** One change: where (as a share of the length), how many bytes go, and what comes in their place. */
export interface Edit {
  at: number;
  remove: number;
  insert: Uint8Array;
}

/** Edits that put in any of `tokens`, single bytes, or nothing. */
export function edits(tokens: readonly (string | Uint8Array)[], maxLength = 4): fc.Arbitrary<Edit[]> {
  const known = tokens.map((token) => (typeof token === 'string' ? Buffer.from(token) : token));
  const insert = fc.oneof(
    fc.constantFrom(...known),
    fc.uint8Array({ maxLength: 2 }),
    fc.constant(new Uint8Array()),
  );
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  const remove = fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 4000 }));
  return fc.array(fc.record({ at, remove, insert }), { maxLength });
}

/** The bytes after the edits, one after the other. */
export function edited(bytes: Uint8Array, changes: readonly Edit[]): Uint8Array {
  let result = bytes;
  for (const { at, remove, insert } of changes) {
    const from = Math.floor(at * result.length);
    result = Buffer.concat([result.subarray(0, from), insert, result.subarray(from + remove)]);
  }
  return result;
}
