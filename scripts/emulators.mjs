/**
 * The emulators behind npm run test:paths, all of them in a folder that git ignores (about 600 MB): QEMU and a
 * cross linker for 64-bit Arm, and Bochs with a Linux that does nothing but run test binaries. Everything but Bochs
 * comes from Debian's packages, unpacked without being installed. Debian's own Bochs (2.7) is of no use here: it
 * needs a window system, and knows no AVX512_BF16, which came with 2.8. So a release of Bochs is built from source.
 */

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpackDebian } from './debian-packages.mjs';

/** The root of the project. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.emulators');
/** Where the packages lie, as if it were the root of a system. */
const SYSTEM = join(FOLDER, 'system');

const DEBIAN = 'bookworm';
const PACKAGES = [
  'qemu-user-static',
  // A linker; the test binaries are linked statically, so that they need no libraries beside them.
  'gcc-12-aarch64-linux-gnu',
  'binutils-aarch64-linux-gnu',
  'libc6-dev-arm64-cross',
  'libgcc-12-dev-arm64-cross',
  // The machine in Bochs: its firmware, the boot loader on a CD, a shell.
  'bochsbios',
  'vgabios',
  'isolinux',
  'syslinux-common',
  'busybox-static',
  'genisoimage',
  'libmagic1',
];
/** Depends on the kernel of the day, whose name has the version in it. */
const KERNEL = 'linux-image-cloud-amd64';

const BOCHS = {
  url: 'https://github.com/bochs-emu/Bochs',
  tag: 'REL_3_0_FINAL',
  commit: '02c851a93572071578d15f68c5701676a109dd19',
  options: [
    '--enable-cpu-level=6',
    '--enable-x86-64',
    '--enable-avx',
    '--enable-evex',
    '--enable-all-optimizations',
    // Its timer writes to the log from a signal, which can wait for itself for ever.
    '--disable-show-ips',
    '--with-nogui',
    '--disable-docbook',
  ],
};

/**
 * Bochs' machine. The processor has AVX-512 with AVX512_BF16, of which Bochs 3.0 gets VCVTNE2PS2BF16 wrong (the upper
 * half of the result) and VCVTNEPS2BF16 and VDPBF16PS right. A tick is one instruction; `tsc_early_khz` below says
 * the same to Linux, which would believe CPUID otherwise.
 */
const MACHINE = `config_interface: textconfig
display_library: nogui
romimage: file=bios.bin
vgaromimage: file=vgabios.bin
cpu: model=sapphire_rapids, count=1, ips=100000000
memory: guest=512, host=512
clock: sync=none
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=boot.iso, status=inserted
com1: enabled=1, mode=file, dev=serial.txt
log: bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
`;

/** After so long, in Linux's time, a program in Bochs is ended; its output is kept. */
const SECONDS = 600;
/** After so long, in real time, Bochs is ended, and the last output lost. */
const MINUTES = 90;

/**
 * Without `clearcpuid` Linux 6.1 does not boot: it leaves short moves to the fast string instructions where the
 * processor has FSRM, but does not use these where the firmware has not enabled them, as Bochs' has not. Without
 * `no5lvl` Bochs 3.0 stops at a consistency check of its own when it leaves system management mode.
 */
const KERNEL_OPTIONS =
  'console=ttyS0,115200 quiet loglevel=1 mitigations=off no5lvl tsc_early_khz=100000 clearcpuid=fsrm';

/**
 * Runs a command to its end; its messages pass through.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, input?: string, env?: NodeJS.ProcessEnv, quiet?: boolean }} [options]
 * @returns {string} what it wrote to stdout
 */
export function run(command, args, { cwd = ROOT, input = '', env = {}, quiet = false } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', quiet ? 'pipe' : 'inherit'],
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...env },
  });
  const name = basename(command);
  if (result.error) throw new Error(`expected ${name} to run, received ${result.error.message}`);
  if (result.status !== 0) {
    const messages = quiet ? `\n${result.stdout}${result.stderr}`.slice(-2000) : '';
    throw new Error(
      `expected ${name} ${args[0] ?? ''} to succeed, received status ${result.status}${messages}`,
    );
  }
  return result.stdout;
}

/** Downloads and unpacks the packages, unless they are there. */
export function getPackages() {
  unpackDebian(SYSTEM, DEBIAN, PACKAGES, [KERNEL]);
}

/** The programs for 64-bit Arm, and the environment that both need. */
export function armTools() {
  const bin = join(SYSTEM, 'usr/bin');
  return {
    qemu: join(bin, 'qemu-aarch64-static'),
    linker: join(bin, 'aarch64-linux-gnu-gcc-12'),
    env: libraries(),
  };
}

function libraries() {
  return { LD_LIBRARY_PATH: join(SYSTEM, 'usr/lib/x86_64-linux-gnu') };
}

/**
 * The Bochs built from source, after building it if need be: several minutes.
 * @returns {string} its path
 */
export function getBochs() {
  const bochs = join(FOLDER, `bochs-${BOCHS.tag}`);
  if (existsSync(bochs)) return bochs;
  console.log(`building Bochs ${BOCHS.tag}`);
  const source = join(FOLDER, 'bochs-source');
  rmSync(source, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const detached = ['-c', 'advice.detachedHead=false'];
  run('git', [...detached, 'clone', '-q', '--depth=1', `--branch=${BOCHS.tag}`, BOCHS.url, source]);
  const commit = run('git', ['rev-parse', 'HEAD'], { cwd: source }).trim();
  if (commit !== BOCHS.commit)
    throw new Error(`expected commit ${BOCHS.commit} of Bochs, received ${commit}`);
  const cwd = join(source, 'bochs');
  run('./configure', BOCHS.options, { cwd, env: { CXXFLAGS: '-O2', CFLAGS: '-O2' }, quiet: true });
  run('make', [`-j${availableParallelism()}`], { cwd, quiet: true });
  copyFileSync(join(cwd, 'bochs'), bochs);
  rmSync(source, { recursive: true });
  return bochs;
}

/**
 * Boots Linux in Bochs, which runs the programs one after the other and switches itself off.
 * @param {string} bochs path of the emulator
 * @param {{ path: string, args: string[] }[]} programs statically linked
 * @returns {string} what they wrote to the serial port
 */
export function runInBochs(bochs, programs) {
  const folder = join(FOLDER, 'machine');
  const [tree, disc] = [join(folder, 'tree'), join(folder, 'disc')];
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['tree/proc', 'tree/dev', 'tree/tmp', 'disc']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  const system = (path) => join(SYSTEM, path);
  const busybox = system('bin/busybox');
  copyFileSync(busybox, join(tree, 'busybox'));
  const commands = programs.map(({ path, args }, index) => {
    copyFileSync(path, join(tree, `program-${index}`));
    return `/busybox timeout -s KILL ${SECONDS} /program-${index} ${args.join(' ')}`;
  });
  const init = [
    '#!/busybox sh',
    '/busybox mount -t proc proc /proc',
    '/busybox mount -t devtmpfs dev /dev',
    'export RUST_BACKTRACE=0',
    ...commands,
    // Until the serial port has sent everything.
    '/busybox sleep 2',
    '/busybox poweroff -f',
  ];
  writeFileSync(join(tree, 'init'), `${init.join('\n')}\n`);
  chmodSync(join(tree, 'init'), 0o755);
  const names = readdirSync(tree).join('\n');
  const archive = ['cpio', '-o', '-H', 'newc', '-F', join(disc, 'initrd')];
  run(busybox, archive, { cwd: tree, input: names, quiet: true });

  const kernel = readdirSync(system('boot')).find((name) => name.startsWith('vmlinuz'));
  copyFileSync(system(`boot/${kernel}`), join(disc, 'kernel'));
  copyFileSync(system('usr/lib/ISOLINUX/isolinux.bin'), join(disc, 'isolinux.bin'));
  copyFileSync(system('usr/lib/syslinux/modules/bios/ldlinux.c32'), join(disc, 'ldlinux.c32'));
  const loader = `DEFAULT tests\nLABEL tests\nKERNEL kernel\nAPPEND initrd=initrd ${KERNEL_OPTIONS}\n`;
  writeFileSync(join(disc, 'isolinux.cfg'), loader);
  const boot = ['-b', 'isolinux.bin', '-c', 'boot.cat', '-no-emul-boot', '-boot-load-size', '4'];
  const image = ['-quiet', '-o', 'boot.iso', ...boot, '-boot-info-table', 'disc'];
  run(system('usr/bin/genisoimage'), image, { cwd: folder, env: libraries(), quiet: true });

  copyFileSync(system('usr/share/bochs/BIOS-bochs-latest'), join(folder, 'bios.bin'));
  copyFileSync(system('usr/share/vgabios/vgabios.bin'), join(folder, 'vgabios.bin'));
  writeFileSync(join(folder, 'bochsrc'), MACHINE);
  const { error, stderr } = spawnSync(bochs, ['-q', '-f', 'bochsrc'], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: MINUTES * 60_000,
    killSignal: 'SIGKILL',
  });
  const serial = join(folder, 'serial.txt');
  if (!existsSync(serial)) {
    throw new Error(`expected Linux to start in Bochs, received ${error?.message ?? stderr.slice(-1000)}`);
  }
  if (error) console.error(`Bochs was stopped after ${MINUTES} minutes`);
  return readFileSync(serial, 'utf8').replaceAll('\r', '');
}
