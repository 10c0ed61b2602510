/** npm run test:install: the package as its users install it. Not part of npm test: it fetches tools of 900 MB. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/install/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    globalSetup: ['test/install/setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 600_000,
  },
});
