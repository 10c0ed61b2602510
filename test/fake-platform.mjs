/**
 * Makes a Node take itself for one on another system, as FAKE_PLATFORM says: `platform`, `arch`, `glibc` (a version, or
 * null for musl), `cpu` (the model's name). Loaded by `node --import` before the program.
 */

import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';

const fake = JSON.parse(process.env.FAKE_PLATFORM ?? '{}');
const set = (object, name, value) => Object.defineProperty(object, name, { value, configurable: true });

if (fake.platform !== undefined) set(process, 'platform', fake.platform);
if (fake.arch !== undefined) set(process, 'arch', fake.arch);
if (fake.glibc !== undefined) {
  const header = fake.glibc === null ? {} : { glibcVersionRuntime: fake.glibc };
  set(process, 'report', { getReport: () => ({ header }) });
}
if (fake.cpu !== undefined) {
  os.cpus = () => [{ model: fake.cpu }];
  syncBuiltinESMExports();
}
// What the loader of a system would say cannot be had on another; `dlopen` stands for its words.
if (fake.dlopen !== undefined) {
  process.dlopen = () => {
    throw Object.assign(new Error(fake.dlopen), { code: 'ERR_DLOPEN_FAILED' });
  };
}
