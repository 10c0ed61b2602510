import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Random } from '../src/random.js';

const vectors = JSON.parse(readFileSync(new URL('./reference/random.json', import.meta.url), 'utf8'));

test('the numbers equal those of the Rust side and of the independent implementation', () => {
  expect(vectors.streams.length).toBeGreaterThan(3);
  for (const { seed, purpose, uint64 } of vectors.streams) {
    const random = new Random(seed, purpose);
    expect(uint64.map(() => random.nextUint64().toString())).toEqual(uint64);
  }
});

test('a shuffle is the committed one', () => {
  const { seed, purpose, of, order } = vectors.shuffle;
  const values = Int32Array.from({ length: of }, (_, index) => index);
  new Random(seed, purpose).shuffle(values);
  expect([...values]).toEqual(order);
});

test('floats lie in [0, 1) and fill it evenly', () => {
  const random = new Random(1, 'test');
  const counts = new Array(10).fill(0);
  for (let draw = 0; draw < 20_000; draw += 1) {
    const value = random.nextFloat();
    expect(value >= 0 && value < 1).toBe(true);
    counts[Math.floor(value * 10)] += 1;
  }
  // 2,000 expected in each tenth, with a standard deviation of 42.
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(250);
});
