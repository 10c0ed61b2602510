/**
 * Loads the native addon, at import: the only file that does. What it exports is typed by index.d.ts. A build beside the
 * package wins over the platform's package; every failure is one error, which addon-failure.ts words.
 */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import type * as Binding from '../index.js';
import { type AddonFault, explainAddonFault, type Host } from './addon-failure.js';
import { type FileFault, fileFault } from './addon-file.js';
import { GruError } from './errors.js';
import { findInstaller } from './installer.js';
import { OWN_CODE, ownFile } from './own-files.js';
import { packageVersion } from './package-version.js';
import { currentPlatform, glibcVersion, platformName } from './platform.js';

export type {
  BuildInfo,
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
  KernelChoice,
  NetworkOptions,
  ParameterTensor,
} from '../index.js';

const require = createRequire(OWN_CODE);

/** The packages, one a platform: literal calls, so that bundlers and tracers of files see them. */
const PACKAGES: Readonly<Record<string, () => unknown>> = {
  'linux-x64-gnu': () => require('gru-native-linux-x64-gnu'),
  'linux-arm64-gnu': () => require('gru-native-linux-arm64-gnu'),
  'linux-x64-musl': () => require('gru-native-linux-x64-musl'),
  'linux-arm64-musl': () => require('gru-native-linux-arm64-musl'),
  'win32-x64-msvc': () => require('gru-native-win32-x64-msvc'),
  'darwin-arm64': () => require('gru-native-darwin-arm64'),
  'darwin-x64': () => require('gru-native-darwin-x64'),
};

/** Names of the platforms that there are packages for. */
export const SUPPORTED_PLATFORMS: readonly string[] = Object.keys(PACKAGES);

const platform = currentPlatform();

/** The error for what went wrong. */
function failure(fault: AddonFault, cause?: unknown): GruError {
  const apple = () => cpus()[0]?.model.startsWith('Apple') === true;
  const host: Host = {
    ...platform,
    glibcVersion: platform.libc === 'glibc' ? glibcVersion() : undefined,
    rosetta: platform.os === 'darwin' && platform.cpu === 'x64' && apple(),
    installer: findInstaller(OWN_CODE),
    version: packageVersion(),
    supported: SUPPORTED_PLATFORMS,
  };
  const { message, hint } = explainAddonFault(host, fault);
  return new GruError('GRU_ADDON', message, hint, cause === undefined ? {} : { cause });
}

/** The file that a module's name leads to, or nothing. */
function find(name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

/** Finds the addon and loads it. */
function load(): { path: string; binding: typeof Binding } {
  const name = platformName(platform);
  const local = ownFile(`../gru-native.${name}.node`);
  if (existsSync(local)) return { path: local, binding: open(local, () => require(local)) };
  const path = find(`gru-native-${name}`);
  const loadPackage = PACKAGES[name];
  if (path !== undefined && loadPackage !== undefined) {
    return { path, binding: open(path, loadPackage) };
  }
  // The file of a package may be gone, and its package.json still there.
  const found = SUPPORTED_PLATFORMS.filter((other) => find(`gru-native-${other}/package.json`) !== undefined);
  if (found.includes(name)) {
    const gone = join(dirname(find(`gru-native-${name}/package.json`) as string), `gru-native.${name}.node`);
    throw failure({ kind: 'damaged', path: gone, received: 'no file' });
  }
  throw failure({ kind: 'missing', local, found });
}

/** Loads the addon at `path` by `loadIt`, after a look at what would end the process. */
function open(path: string, loadIt: () => unknown): typeof Binding {
  let fault: FileFault | undefined;
  let binding: Partial<typeof Binding> | undefined;
  try {
    fault = platform.os === 'linux' ? fileFault(path, platform.cpu) : undefined;
    if (fault === undefined) binding = loadIt() as typeof Binding;
  } catch (cause) {
    throw failure(refusal(path, cause as NodeJS.ErrnoException), cause);
  }
  if (fault !== undefined) throw failure({ ...fault, path });
  const [expected, received = 'none'] = [packageVersion(), binding?.version?.()];
  if (expected !== received) throw failure({ kind: 'version', path, received });
  return binding as typeof Binding;
}

/** What Node refused, and why. */
function refusal(path: string, { code, message }: NodeJS.ErrnoException): AddonFault {
  if (code !== 'ERR_DLOPEN_DISABLED') {
    return { kind: 'refused', path, words: message.replaceAll(/\s+/g, ' ').trim() };
  }
  const told = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)];
  const { permission } = process as { permission?: unknown };
  const by = permission === undefined || told.includes('--no-addons') ? '--no-addons' : 'permissions';
  return { kind: 'disabled', path, by };
}

const { path, binding } = load();

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
