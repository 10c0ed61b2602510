/** The package's version, read from the package.json beside src/ and dist/ alike. */

import { createRequire } from 'node:module';

/** What stands for the version in a bundle, which has no package.json of ours. */
export const UNKNOWN_VERSION = 'unknown';

/** Such as `0.1.0`. */
export function packageVersion(): string {
  // A bundle in CommonJS format has no `import.meta.url`; what lies above a bundle is another package's.
  const require = createRequire(import.meta.url ?? __filename);
  for (const place of ['../package.json', 'gru-native/package.json']) {
    try {
      const { name, version } = require(place) as { name?: string; version: string };
      if (name === 'gru-native') return version;
    } catch {
      // not there
    }
  }
  return UNKNOWN_VERSION;
}
