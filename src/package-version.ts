/**
 * The package's version, a constant so that a bundle of this code needs no package.json beside it;
 * scripts/set-version.mjs writes it.
 */

const VERSION = '0.1.0';

/** Such as `0.1.0`. */
export function packageVersion(): string {
  return VERSION;
}
