/** What `gru-native doctor` finds out. What cannot be had is null, so that the rest is told all the same. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cpus, release, version as systemVersion, totalmem } from 'node:os';
import { join } from 'node:path';
import { type GruError, toGruError } from '../errors.js';
import { findInstaller, type Installer } from '../installer.js';
import { cacheDirectory } from '../named-corpora.js';
import type { BuildInfo, CudaReport, KernelChoice } from '../native.js';
import { OWN_CODE } from '../own-files.js';
import { packageVersion } from '../package-version.js';
import { currentPlatform, glibcVersion, platformName } from '../platform.js';
import { probeCuda, probeKernels } from './cuda-report.js';
import { findLimits } from './limits.js';

/** All of it, as `--json` prints it, but for the error, of which it prints the text. */
export interface DoctorFacts {
  version: string;
  installer: Installer;
  node: { version: string; arch: string; path: string };
  system: {
    /** As the addon's package for it is called, such as `linux-x64-gnu`. */
    platform: string;
    name: string;
    kernel: string;
    libc: { name: 'glibc' | 'musl'; version: string | null } | null;
  };
  cpu: {
    model: string;
    cores: number;
    /** Of these, those that the process may run on. */
    allowedCpus: number | null;
    /** Processors' worth of time that its cgroups grant. */
    quota: number | null;
    /** Threads that training uses; the rest, like it, is known where the addon loads. */
    threads: number | null;
    features: string[] | null;
    path: string | null;
  };
  memory: { totalBytes: number; limitBytes: number | null };
  addon: { path: string; version: string; build: BuildInfo } | null;
  cuda: CudaReport | null;
  /** Which kernels run the time steps, where that was asked for and the addon loads. */
  kernels?: KernelChoice[];
  cache: { directory: string; exists: boolean; bytes: number | null };
  /** Why training does not run here. */
  error: GruError | null;
}

/** Finds out everything, the kernels where asked for; for a driver that hangs it waits as cuda-report.ts says. */
export async function gatherFacts({ kernels = false } = {}): Promise<DoctorFacts> {
  const system = currentPlatform();
  const limits = system.os === 'linux' ? findLimits(readText) : {};
  const processors = cpus();
  const facts: DoctorFacts = {
    version: packageVersion(),
    installer: findInstaller(OWN_CODE),
    node: { version: process.version, arch: process.arch, path: process.execPath },
    system: {
      platform: platformName(system),
      name: systemName(system.os),
      kernel: release(),
      libc:
        system.libc === undefined
          ? null
          : { name: system.libc, version: (system.libc === 'glibc' ? glibcVersion() : undefined) ?? null },
    },
    cpu: {
      model: processors[0]?.model.trim() || 'unknown',
      cores: processors.length,
      allowedCpus: limits.allowedCpus ?? null,
      quota: limits.cpuQuota ?? null,
      ...{ threads: null, features: null, path: null },
    },
    memory: { totalBytes: totalmem(), limitBytes: limits.memoryBytes ?? null },
    addon: null,
    cuda: null,
    cache: cacheFacts(cacheDirectory()),
    error: null,
  };
  try {
    const { native, addonPath } = await import('../native.js');
    facts.addon = { path: addonPath, version: native.version(), build: native.buildInfo() };
    facts.cpu.threads = native.availableThreads();
    facts.cpu.features = native.cpuFeatures();
    facts.cuda = await probeCuda();
    if (kernels) {
      const told = facts.cuda.available ? await probeKernels() : null;
      facts.kernels = told ?? native.kernelChoices(false);
    }
    facts.cpu.path = native.cpuPath(); // throws where the environment names one that is not here
  } catch (thrown) {
    facts.error = toGruError(thrown);
  }
  return facts;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The system and its release, as its makers call it. */
function systemName(os: string): string {
  if (os === 'win32') return systemVersion();
  if (os === 'darwin') return 'macOS';
  const told = readText('/etc/os-release') ?? readText('/usr/lib/os-release') ?? '';
  return /^PRETTY_NAME=(["']?)(.+)\1$/m.exec(told)?.[2] ?? os;
}

/** The cache, with the bytes of its files. */
function cacheFacts(directory: string): DoctorFacts['cache'] {
  try {
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    const files = names.map((name) => statSync(join(directory, name))).filter((entry) => entry.isFile());
    return { directory, exists: true, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  } catch {
    return { directory, exists: existsSync(directory), bytes: null };
  }
}
