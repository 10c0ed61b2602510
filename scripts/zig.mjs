/**
 * The pinned linker of releases: zig, which carries the C libraries of every target and links against the oldest
 * glibc that is to be supported, driven by cargo-zigbuild. Both come from the Python package index.
 */

import { delimiter, join } from 'node:path';
import { installPins } from './python-packages.mjs';
import { ROOT } from './release-targets.mjs';

const PINS = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.1'];
/** Ignored by git, about 400 MB. */
const FOLDER = join(ROOT, '.zig');

/** Installs them if they are not there yet; returns the environment in which `cargo zigbuild` runs. */
export function zigEnvironment() {
  installPins(FOLDER, PINS);
  return {
    PATH: [join(FOLDER, 'bin'), process.env.PATH].join(delimiter),
    CARGO_ZIGBUILD_ZIG_PATH: join(FOLDER, 'ziglang', 'zig'),
  };
}
