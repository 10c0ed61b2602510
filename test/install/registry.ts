/**
 * A package registry on this machine that holds gru-native's packages, what it depends on, and nothing else: it asks no
 * other registry, so whatever is installed from it came from these tarballs alone.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TOOLS } from './tools.js';

/** A running registry. */
export interface Registry {
  /** Such as `http://127.0.0.1:4873/`. */
  url: string;
  /** Publishes a tarball. */
  publish(tarball: string): void;
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

/** Starts one that keeps everything in `folder`. */
export async function startRegistry(folder: string): Promise<Registry> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  // The address without the scheme, as npm names the credentials of a registry; any token will do.
  const npmrc = join(folder, '.npmrc');
  writeFileSync(npmrc, `registry=${url}\n//127.0.0.1:${port}/:_authToken=anyone\n`);
  const verdaccio = join(TOOLS, 'verdaccio', 'bin', 'verdaccio');
  const args = [verdaccio, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`];
  const server = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  await answers(url, server);
  return {
    url,
    publish(tarball) {
      const options = ['--ignore-scripts', '--provenance=false', '--userconfig', npmrc, '--registry', url];
      execFileSync('npm', ['publish', tarball, ...options], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    },
    stop: () => void server.kill(),
  };
}
