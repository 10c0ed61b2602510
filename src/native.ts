/** Loads the native addon, at import: the only file that does. What it exports is typed by index.d.ts. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Binding from '../index.js';
import { GruError } from './errors.js';
import { packageVersion } from './package-version.js';

export type {
  CudaDevice,
  CudaReport,
  CudaStage,
  EpochPlan,
  EpochProgress,
  EpochResult,
  ForwardResult,
  GenerationOptions,
  GenerationPiece,
  GpuFacts,
  GradientResult,
  NetworkOptions,
  ParameterTensor,
} from '../index.js';

/** The platform as the names of addons spell it, such as `linux-x64-gnu`. */
function platformName(): string {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform === 'win32') return `${name}-msvc`;
  if (process.platform !== 'linux') return name;
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const { excludeNetwork } = report;
  report.excludeNetwork = true; // looking up the names of open connections can take seconds
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  report.excludeNetwork = excludeNetwork ?? false;
  return `${name}-${header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

/** Loads the addon built in this checkout, or else the one of the platform's package. */
function load(): { path: string; binding: typeof Binding } {
  const require = createRequire(import.meta.url);
  const platform = platformName();
  const local = fileURLToPath(new URL(`../gru-native.${platform}.node`, import.meta.url));
  const packageName = `gru-native-${platform}`;
  for (const place of [local, packageName]) {
    let path: string;
    try {
      path = require.resolve(place);
    } catch {
      continue; // not there
    }
    try {
      return { path, binding: require(path) as typeof Binding };
    } catch (cause) {
      throw new GruError(
        'GRU_ADDON',
        `expected ${path} to load, received: ${cause instanceof Error ? cause.message : String(cause)}`,
        'The addon is there but this system cannot load it. Install gru-native again on this machine, or build ' +
          'the addon from the source with npm run build:rs.',
        { cause },
      );
    }
  }
  throw new GruError(
    'GRU_ADDON',
    `expected the native addon for ${platform}, received none: looked for ${local} and the package ${packageName}`,
    'Install again with npm install gru-native --include=optional; in a checkout of the source run npm run build:rs.',
  );
}

const { path, binding } = load();
if (binding.version() !== packageVersion()) {
  throw new GruError(
    'GRU_ADDON',
    `expected version ${packageVersion()} of the native addon, received ${binding.version()} in ${path}`,
    'Install gru-native again; in a checkout of the source run npm run build:rs.',
  );
}

/** The addon. */
export const native: typeof Binding = binding;
/** Where it was loaded from. */
export const addonPath: string = path;

/** A network and a thread of its own, for a training loop of one's own. */
export const Network: typeof Binding.Network = native.Network;
export type Network = Binding.Network;
/** Stops a command of a network. */
export const CancelFlag: typeof Binding.CancelFlag = native.CancelFlag;
export type CancelFlag = Binding.CancelFlag;
/** A file held by this process. */
export const FileLock: typeof Binding.FileLock = native.FileLock;
export type FileLock = Binding.FileLock;
/** Texts that a network is writing. */
export const Generation: typeof Binding.Generation = native.Generation;
export type Generation = Binding.Generation;
