import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/install/**', '**/node_modules/**'],
    // The addon runs in processes of their own: a crash of one file is seen and spoils no other.
    pool: 'forks',
    // Two at least: most tests wait for a process that they started.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 30_000,
    // The tests take their machine for one without a GPU, whether it has one or not; test/cuda.test.ts brings
    // a driver of its own.
    env: { CUDA_VISIBLE_DEVICES: '' },
  },
});
