/**
 * A package registry on this machine that holds gru-native's packages, what it depends on, and nothing else: it asks no
 * other registry, so whatever is installed from it came from these tarballs alone.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TOOLS } from './tools.js';

/** A running registry. */
export interface Registry {
  /** Such as `http://127.0.0.1:4873/`. */
  url: string;
  /** Publishes a tarball, by the request that npm makes; `npm publish` itself takes seconds each time. */
  publish(tarball: string): Promise<void>;
  /** Ends its process. */
  stop(): void;
}

/** A port that nobody listened on a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const CONFIG = `
storage: ./storage
uplinks: {}
web: { enable: false }
max_body_size: 100mb
packages: { '**': { access: $all, publish: $all } }
log: { type: stdout, format: pretty, level: error }
`;

/** Waits until the registry answers; fails when its process ends first. */
async function answers(url: string, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (server.exitCode !== null) throw new Error(`the registry ended with exit code ${server.exitCode}`);
    const response = await fetch(`${url}-/ping`).catch(() => undefined);
    if (response?.ok) return;
    await delay(100);
  }
  throw new Error('the registry did not answer within a minute');
}

/** package.json in a tarball. */
function manifestOf(tarball: string): { name: string; version: string } {
  return JSON.parse(execFileSync('tar', ['xOf', tarball, 'package/package.json'], { encoding: 'utf8' }));
}

/** What npm sends to a registry to publish a package. */
function publication(tarball: string, url: string): object {
  const manifest = manifestOf(tarball);
  const { name, version } = manifest;
  const bytes = readFileSync(tarball);
  const hash = (algorithm: string, encoding: 'hex' | 'base64') =>
    createHash(algorithm).update(bytes).digest(encoding);
  const file = `${name}-${version}.tgz`;
  const dist = {
    integrity: `sha512-${hash('sha512', 'base64')}`,
    shasum: hash('sha1', 'hex'),
    tarball: `${url}${name}/-/${file}`,
  };
  return {
    _id: name,
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
    _attachments: {
      [file]: {
        content_type: 'application/octet-stream',
        data: bytes.toString('base64'),
        length: bytes.length,
      },
    },
  };
}

/** Starts one that keeps everything in `folder`. */
export async function startRegistry(folder: string): Promise<Registry> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const verdaccio = join(TOOLS, 'verdaccio', 'bin', 'verdaccio');
  const args = [verdaccio, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`];
  const server = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  await answers(url, server);
  return {
    url,
    async publish(tarball) {
      const response = await fetch(url + manifestOf(tarball).name, {
        method: 'PUT',
        headers: { 'content-type': 'application/json', authorization: 'Bearer anyone' },
        body: JSON.stringify(publication(tarball, url)),
      });
      if (!response.ok) throw new Error(`${tarball}: ${response.status} ${await response.text()}`);
    },
    stop: () => void server.kill(),
  };
}
