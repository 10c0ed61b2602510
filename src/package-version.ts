/** The package's version, read from package.json beside src/ and dist/ alike. */

import { createRequire } from 'node:module';

/** Such as `0.1.0`. */
export function packageVersion(): string {
  return (createRequire(import.meta.url)('../package.json') as { version: string }).version;
}
