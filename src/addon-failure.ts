/**
 * Why the addon does not load, in words: what was looked for, what was found, and the command that puts it right. Takes
 * facts and looks at nothing itself.
 */

import type { FileFault } from './addon-file.js';
import { completing, type Installer, installation, installingFor, installingVersion } from './installer.js';
import { type Platform, platformName, platformOf } from './platform.js';

/** The oldest glibc that the packages for Linux run with. */
export const OLDEST_GLIBC = '2.28';

/** Where the addon would have to run. */
export interface Host extends Platform {
  /** The version of glibc, where that is the C library. */
  glibcVersion?: string;
  /** Whether this is a Node for x64 on an Apple processor. */
  rosetta: boolean;
  installer: Installer;
  /** The version of this package. */
  version: string;
  /** Names of the platforms that there are packages for. */
  supported: readonly string[];
}

/** What went wrong. */
export type AddonFault =
  /** Neither a build nor the package is there; `found` are the platforms whose packages are. */
  | { kind: 'missing'; local: string; found: readonly string[] }
  /** What is seen before loading. */
  | ({ path: string } & FileFault)
  | { kind: 'glibc'; path: string; needed: string }
  /** Loading addons is switched off: by `--no-addons`, or by Node's permission model. */
  | { kind: 'disabled'; path: string; by: '--no-addons' | 'permissions' }
  /** dlopen, or what stands for it, refused. */
  | { kind: 'refused'; path: string; words: string }
  /** It loaded and is another version. */
  | { kind: 'version'; path: string; received: string };

/** One line each, as GruError wants them. */
export interface Explanation {
  message: string;
  hint: string;
}

/** Says what went wrong and what to do. */
export function explainAddonFault(host: Host, fault: AddonFault): Explanation {
  switch (fault.kind) {
    case 'missing':
      return missing(host, fault.local, fault.found);
    case 'damaged':
      return {
        message: `expected a whole addon in ${fault.path}, received ${fault.received}`,
        hint: reinstalling(host, fault.path),
      };
    case 'machine':
      return wrongMachine(host, fault.path, fault.machine);
    case 'glibc':
      return oldGlibc(host, fault.path, fault.needed);
    case 'disabled':
      return disabled(fault.path, fault.by);
    case 'version':
      return {
        message: `expected version ${host.version} of the addon, received ${fault.received} in ${fault.path}`,
        hint: `Run: ${installingVersion(host.version, host.installer)}`,
      };
    case 'refused':
      return refused(host, fault.path, fault.words);
  }
}

function missing(host: Host, local: string, found: readonly string[]): Explanation {
  const name = platformName(host);
  if (!host.supported.includes(name)) {
    return {
      message: `expected one of the platforms ${host.supported.join(', ')}, received ${name}; there is no build at ${local} either`,
      hint: 'Build the addon from the source: with Rust installed, run npm install and npm run build:rs in a checkout of gru-native.',
    };
  }
  const expected = `expected the package gru-native-${name}`;
  if (host.installer === 'checkout') {
    return {
      message: `${expected} or a build at ${local}, received neither`,
      hint: 'Build the addon, with Rust installed. Run: npm run build:rs',
    };
  }
  const [first] = found;
  if (first === undefined) {
    return {
      message: `${expected}, received none; there is no build at ${local} either`,
      hint:
        'It is an optional dependency that this installation, or its lockfile, leaves out. ' +
        (host.installer === 'npm'
          ? `If the command does not bring it, remove ${installation(host.installer)} first. `
          : '') +
        `Run: ${completing(host.installer)}`,
    };
  }
  return {
    message: `${expected}, received gru-native-${found.join(', gru-native-')}: ${difference(host, platformOf(first))}`,
    hint: installingHere(host),
  };
}

/** In what the platform of an addon is not this one. */
function difference(host: Host, other: Platform): string {
  if (other.os !== host.os) return `installed for ${other.os}, and this system is ${host.os}`;
  if (other.cpu !== host.cpu) return `installed for ${other.cpu}, and ${thisNode(host)}`;
  return `installed for ${other.libc}, and this system has ${host.libc}`;
}

function thisNode({ cpu, rosetta }: Host): string {
  return rosetta
    ? `this Node is for ${cpu}, run by Rosetta on an Apple processor`
    : `this Node is for ${cpu}`;
}

/** How to come by the addon of this platform in place of another's. */
function installingHere(host: Host): string {
  if (host.installer === 'checkout') return `Build the addon on this machine. Run: ${completing('checkout')}`;
  if (host.rosetta) {
    return `Use a Node for arm64 (node -p process.arch prints arm64), or run: ${installingFor(host, host.installer)}`;
  }
  if (host.installer === 'npm --global') return `Install on this machine. Run: ${completing(host.installer)}`;
  return (
    `Remove ${installation(host.installer)} and install on this machine; ` +
    `or, to install for it elsewhere, run: ${installingFor(host, host.installer)}`
  );
}

/** How to come by the same files anew. */
function reinstalling({ installer }: Host, path: string): string {
  if (installer === 'checkout') return `Build the addon anew. Run: ${completing(installer)}`;
  return `Remove ${path.replace(/[\\/][^\\/]*$/, '')}, then run: ${completing(installer)}`;
}

function wrongMachine(host: Host, path: string, machine: string): Explanation {
  return {
    message: `expected an addon for ${host.cpu} in ${path}, received one for ${machine}: ${thisNode(host)}`,
    hint: installingHere(host),
  };
}

function oldGlibc(host: Host, path: string, needed: string): Explanation {
  const local = host.installer === 'checkout';
  return {
    message: `expected glibc ${needed} or newer for ${path}, received glibc ${host.glibcVersion}`,
    hint: local
      ? `It was built on a newer system. Build it on this one. Run: ${completing('checkout')}`
      : `Use a system with glibc ${needed}, such as a newer image of the container${
          needed === OLDEST_GLIBC ? ' (Debian 10, Ubuntu 20.04, RHEL 8 and all later ones)' : ''
        }; or build the addon on this one: with Rust installed, npm run build:rs in a checkout of gru-native.`,
  };
}

function disabled(path: string, by: '--no-addons' | 'permissions'): Explanation {
  const expected = `expected Node to load addons, for ${path}`;
  return by === '--no-addons'
    ? {
        message: `${expected}, received a Node that was started with --no-addons`,
        hint: 'Start Node without --no-addons; see whether it stands in the environment variable NODE_OPTIONS.',
      }
    : {
        message: `${expected}, received a Node whose permissions do not allow it`,
        hint: 'Start Node with --allow-addons beside --permission (--experimental-permission in Node 20).',
      };
}

/** What dlopen's words mean: those of glibc, musl, macOS and Windows. */
function refused(host: Host, path: string, words: string): Explanation {
  const glibc = [...words.matchAll(/version [`'‘]GLIBC_([\d.]+)['’] not found/g)].map(([, found]) => found);
  if (glibc[0] !== undefined) return oldGlibc(host, path, glibc[0]);
  const machine = /incompatible architecture \(have '([^']+)'/.exec(words)?.[1];
  if (machine !== undefined) return wrongMachine(host, path, machine.replace('x86_64', 'x64'));
  if (/wrong architecture|is not a valid Win32 application/.test(words)) {
    return wrongMachine(host, path, 'another processor');
  }
  const expected = `expected ${path} to load`;
  // A library of the other C library, or one of its functions.
  const foreign = host.libc === 'musl' ? /\bld-linux|\bld64|\blibc\.so\.6|relocating/ : /\blibc\.(musl-|so:)/;
  if (host.libc !== undefined && foreign.test(words)) {
    const other = host.libc === 'musl' ? 'glibc' : 'musl';
    return {
      message: `${expected}, received an addon for ${other}, and this system has ${host.libc}: ${words}`,
      hint: installingHere(host),
    };
  }
  const library =
    /(?:loading shared library |^)([^\s:/]+\.so[.\d]*): (?:cannot open|No such file)/.exec(words)?.[1] ??
    (/specified module could not be found/.test(words) ? "Visual C++'s run-time library" : undefined);
  if (library !== undefined) {
    return {
      message: `${expected}, received a system without a library that it needs, ${library}: ${words}`,
      hint: providing(library, host),
    };
  }
  return {
    message: `${expected}, received: ${words}`,
    hint: 'See what gru-native doctor says of this system, and report it together with that.',
  };
}

/** How a system gets a library. */
function providing(library: string, { os, libc }: Host): string {
  if (os === 'win32') return 'Run: winget install Microsoft.VCRedist.2015+.x64';
  if (!library.startsWith('libgcc_s')) return `Install the package of this system that has ${library}.`;
  return libc === 'musl'
    ? 'Run: apk add libgcc'
    : 'Run: apt-get install libgcc-s1 (Debian, Ubuntu), or dnf install libgcc (Fedora, RHEL)';
}
