/**
 * npm run pack:all -- DIR: what would be published, as tarballs in DIR: the package itself and the platform package of
 * this machine, built for release. With `--artifacts FOLDER` nothing is built: the platform packages are those of every
 * `gru-native.*.node` found in FOLDER; with `--complete` too, one for every target must be there. Everything happens
 * on a staging copy: the package.json that git holds names no platform package, since a lock file made before they are
 * published would lack them and be refused by npm ci.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { addonName, hostTarget, packageJson, ROOT, releaseTargets } from './release-targets.mjs';
import { thirdPartyText } from './third-party.mjs';

/** What goes along without being named in package.json's `files`. */
const ALWAYS = ['README.md', 'LICENSE'];

/** Runs a command; what it printed is shown only where it fails. */
function run(command, args, { cwd = ROOT, env = {} } = {}) {
  const shell = process.platform === 'win32'; // npm and napi are scripts there
  const options = { cwd, env: { ...process.env, ...env }, shell, encoding: 'utf8' };
  const { status, stdout, stderr } = spawnSync(command, args, options);
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}`);
  throw new Error(`expected ${command} ${args.join(' ')} to succeed, received exit code ${status}`);
}

function writeJson(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** The addons that lie anywhere in `folder`, by platform. */
function addonsIn(folder) {
  const paths = readdirSync(folder, { recursive: true }).map((path) => join(folder, path));
  const found = releaseTargets().map(({ platform }) => {
    const path = paths.find((candidate) => basename(candidate) === addonName(platform));
    return [platform, path];
  });
  return new Map(found.filter(([, path]) => path !== undefined));
}

/** What a build for publishing knows beyond the checkout: where the source is, for npm's provenance. */
function repository() {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY } = process.env;
  if (!GITHUB_SERVER_URL || !GITHUB_REPOSITORY) return {};
  return { repository: { type: 'git', url: `git+${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}.git` } };
}

/**
 * Copies what the package consists of. Its package.json has no scripts, nothing for those who work on it, and asks for
 * every platform package in just this version, of which a package manager takes the one that fits.
 */
function stageRoot(staging) {
  const { scripts: _scripts, devDependencies: _devDependencies, napi: _napi, ...published } = packageJson();
  for (const name of [...published.files, ...ALWAYS])
    cpSync(join(ROOT, name), join(staging, name), { recursive: true });
  const platforms = releaseTargets().map(({ platform }) => [
    `${published.name}-${platform}`,
    published.version,
  ]);
  const optionalDependencies = Object.fromEntries(platforms);
  writeJson(join(staging, 'package.json'), { ...published, ...repository(), optionalDependencies });
}

/** Makes the platform package of `triple` in `folder`, whose package.json and README.md napi has written. */
function stagePlatform(folder, { triple, platform }, addon) {
  const file = join(folder, 'package.json');
  const { keywords: _keywords, ...manifest } = JSON.parse(readFileSync(file, 'utf8'));
  const files = [...manifest.files, 'LICENSE', 'THIRD-PARTY.md'];
  const description = `The addon of gru-native for ${platform}; install gru-native, which depends on it`;
  writeJson(file, { ...manifest, ...repository(), description, license: 'MIT', files });
  cpSync(addon, join(folder, addonName(platform)));
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'THIRD-PARTY.md'), thirdPartyText(triple));
}

/** Packs the package and the platform packages of `addons` into `directory`. */
function pack(directory, addons) {
  const staging = mkdtempSync(join(tmpdir(), 'gru-native-pack-'));
  const platforms = join(staging, 'platforms');
  const root = join(staging, 'root');
  try {
    mkdirSync(root);
    stageRoot(root);
    cpSync(join(ROOT, 'package.json'), join(staging, 'package.json'));
    run(join(ROOT, 'node_modules', '.bin', 'napi'), ['create-npm-dirs', '--npm-dir', 'platforms'], {
      cwd: staging,
    });
    const targets = releaseTargets().filter(({ platform }) => addons.has(platform));
    for (const target of targets) {
      stagePlatform(join(platforms, target.platform), target, addons.get(target.platform));
    }
    const folders = [root, ...targets.map(({ platform }) => join(platforms, platform))];
    mkdirSync(directory, { recursive: true });
    run('npm', ['pack', '--ignore-scripts', '--pack-destination', resolve(directory), ...folders]);
  } finally {
    rmSync(staging, { recursive: true });
  }
}

/** Builds the addon of this machine for release; where it lies. */
function buildHost() {
  const { platform } = hostTarget();
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true }); // may hold what an earlier source was compiled to
  run('npm', ['run', '--silent', 'build'], { env: { GRU_NATIVE_TARGET: 'host' } });
  return new Map([[platform, join(ROOT, addonName(platform))]]);
}

try {
  const { values, positionals } = parseArgs({
    options: { artifacts: { type: 'string' }, complete: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const [directory] = positionals;
  if (positionals.length !== 1) {
    const expected = 'expected one folder for the tarballs, as in npm run pack:all -- DIR';
    throw new Error(`${expected}, received ${positionals.length}`);
  }
  const addons = values.artifacts === undefined ? buildHost() : addonsIn(values.artifacts);
  const missing = releaseTargets().filter(({ platform }) => !addons.has(platform));
  if (addons.size === 0 || (values.complete && missing.length > 0)) {
    const names = missing.map(({ platform }) => addonName(platform));
    throw new Error(`expected ${names.join(', ')} in ${values.artifacts ?? ROOT}, received none of them`);
  }
  pack(directory, addons);
  for (const name of readdirSync(directory)) if (name.endsWith('.tgz')) console.log(join(directory, name));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
