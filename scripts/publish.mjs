/**
 * node scripts/publish.mjs DIR [--dry-run]: publishes the tarballs of npm run pack:all from the release's workflow, the
 * platform packages first, so that whoever gets the new package gets its addon. What npm has already is passed over:
 * a run that failed half-way can be started again.
 */

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageJson, releaseTargets } from './release-targets.mjs';

function npm(args, stdio) {
  return spawnSync('npm', args, { stdio, encoding: 'utf8', shell: process.platform === 'win32' });
}

/** Whether npm has this version of a package. */
function isPublished(name, version) {
  const { status, stdout } = npm(['view', `${name}@${version}`, 'version'], ['ignore', 'pipe', 'ignore']);
  return status === 0 && stdout.trim() === version;
}

function publish(directory, dryRun) {
  const { name, version } = packageJson();
  const names = [...releaseTargets().map(({ platform }) => `${name}-${platform}`), name];
  const tarballs = names.map((each) => ({ name: each, file: join(directory, `${each}-${version}.tgz`) }));
  const missing = tarballs.filter(({ file }) => !existsSync(file)).map(({ file }) => file);
  if (missing.length > 0) {
    throw new Error(
      `expected all of a release's tarballs, received none of ${missing.join(', ')}: npm run pack:all`,
    );
  }
  // A version such as 1.0.0-rc.1 is only for those who ask for it.
  const tag = version.includes('-') ? 'next' : 'latest';
  for (const tarball of tarballs) {
    if (isPublished(tarball.name, version)) {
      console.log(`${tarball.name}@${version} is published already`);
      continue;
    }
    // Provenance is signed where the package is published, so not in a dry run.
    const options = dryRun ? ['--dry-run'] : ['--provenance'];
    const { status } = npm(
      ['publish', tarball.file, '--access', 'public', '--tag', tag, ...options],
      'inherit',
    );
    if (status !== 0)
      throw new Error(`expected npm to publish ${tarball.file}, received exit code ${status}`);
  }
}

try {
  const { values, positionals } = parseArgs({
    options: { 'dry-run': { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  if (positionals.length !== 1)
    throw new Error(`expected one folder of tarballs, received ${positionals.length}`);
  publish(positionals[0], values['dry-run']);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
