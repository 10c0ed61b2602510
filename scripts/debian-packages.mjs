/**
 * Packages of one release of Debian, whatever the system is, unpacked into a folder that git ignores without being
 * installed. For Debian and Ubuntu on x86-64.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf } from './command.mjs';

const ARCHIVE = 'http://deb.debian.org/debian';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** Beside those of x86-64, such as `musl:arm64`. */
const OTHER_ARCHITECTURE = 'arm64';

/** apt-get and apt-cache with lists of their own in `folder`. */
function apt(folder, command, ...args) {
  const options = {
    'Dir::Etc::SourceList': join(folder, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
    'APT::Architecture': 'amd64',
    'APT::Architectures::': OTHER_ARCHITECTURE,
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return outputOf(command, ['-qq', ...settings, ...args], folder);
}

/**
 * Downloads `packages` of `release`, such as `bookworm`, and unpacks them into `folder` as if it were the root of a
 * system, unless just these are there. Of each of `newest`, packages that depend on the one of the day, whose name
 * has its version in it, that one is unpacked.
 */
export function unpackDebian(folder, release, packages, newest = []) {
  // Holds what is unpacked; written last, so that an interrupted download counts as none.
  const stamp = join(folder, 'packages.txt');
  const wanted = `${[release, ...packages, ...newest].join('\n')}\n`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (!existsSync(KEYRING)) {
    throw new Error(
      `expected ${KEYRING}, received none: this needs Debian or Ubuntu with the package debian-archive-keyring`,
    );
  }
  console.log(`downloading packages of Debian ${release}`);
  rmSync(folder, { recursive: true, force: true });
  const work = join(folder, 'apt');
  for (const name of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(work, name), { recursive: true });
  const source = `deb [arch=amd64,${OTHER_ARCHITECTURE} signed-by=${KEYRING}] ${ARCHIVE} ${release} main\n`;
  writeFileSync(join(work, 'sources.list'), source);
  apt(work, 'apt-get', 'update');
  const dated = newest.map((name) => {
    const found = /Depends: (\S+)/.exec(apt(work, 'apt-cache', 'depends', name))?.[1];
    if (!found) throw new Error(`expected ${name} to depend on a package, received none`);
    return found;
  });
  apt(work, 'apt-get', 'download', ...packages, ...dated);
  for (const file of readdirSync(work).filter((file) => file.endsWith('.deb'))) {
    outputOf('dpkg-deb', ['-x', join(work, file), folder], work);
  }
  rmSync(work, { recursive: true });
  writeFileSync(stamp, wanted);
}
