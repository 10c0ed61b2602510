/** What `gru-native doctor` prints for people, who paste it into reports: two columns, without names of users. */

import { homedir } from 'node:os';
import type { BuildInfo, CudaDevice, CudaReport, CudaStage } from '../native.js';
import type { DoctorFacts } from './doctor-facts.js';
import { bytesText, driverText, table } from './table.js';

/** Columns that the text keeps to where its words allow. */
const COLUMNS = 100;

type Rows = [name: string, value: string][];

/** The whole text. */
export function doctorText(facts: DoctorFacts): string {
  const { version, installer, node, memory, cache } = facts;
  const rows: Rows = [
    ['gru-native', `${version}, ${installer === 'checkout' ? 'a checkout' : `installed by ${installer}`}`],
    ['Node', `${node.version} for ${node.arch}, ${node.path}`],
    ['system', systemText(facts.system)],
    ['CPU', cpuText(facts.cpu)],
    ['threads', threadsText(facts.cpu)],
    ['memory', bytesText(memory.totalBytes) + limitText(memory.limitBytes)],
    ...addonRows(facts.addon),
    ...(facts.cuda === null ? ([['CUDA', 'not looked at']] satisfies Rows) : cudaRows(facts.cuda)),
    ['cache', `${cache.directory} (${cacheText(cache)})`],
    ...resultRows(facts),
  ];
  return table(
    rows.map(([name, value]) => [name, withoutHome(value)]),
    COLUMNS,
  );
}

/** A text with `~` for the user's folder, where it stands alone or begins a path. */
function withoutHome(text: string, home: string = homedir()): string {
  if (home.length < 2) return text;
  return text.replaceAll(home, (match, at: number) => {
    const [before = ' ', after = ' '] = [text[at - 1], text[at + home.length]];
    return /[\w./\\-]/.test(before) || /[\w.-]/.test(after) ? match : '~';
  });
}

function systemText({ name, kernel, libc }: DoctorFacts['system']): string {
  const library = libc === null ? '' : `, ${[libc.name, libc.version ?? ''].join(' ').trim()}`;
  return `${name}, kernel ${kernel}${library}`;
}

function cpuText({ model, features, path }: DoctorFacts['cpu']): string {
  if (features === null) return model;
  const kernels = path === null ? '' : `; ${path} kernels`;
  return `${model}; ${features.join(', ') || 'no vector extensions'}${kernels}`;
}

function threadsText({ cores, allowedCpus, quota, threads }: DoctorFacts['cpu']): string {
  const limits = [
    ...(allowedCpus === null || allowedCpus === cores ? [] : [`affinity allows ${allowedCpus}`]),
    ...(quota === null ? [] : [`its cgroup grants the time of ${Number(quota.toFixed(2))}`]),
  ];
  const all = `${cores} ${cores === 1 ? 'core' : 'cores'}${limits.length > 0 ? `: ${limits.join(', ')}` : ''}`;
  return threads === null ? all : `${threads}, of ${all}`;
}

function limitText(bytes: number | null): string {
  return bytes === null ? '' : `, of which its cgroup grants ${bytesText(bytes)}`;
}

function cacheText({ exists, bytes }: DoctorFacts['cache']): string {
  if (!exists) return 'not there yet';
  return bytes === null ? 'not readable' : `${bytesText(bytes)}; stays when gru-native is uninstalled`;
}

/** The addon and the PTX that it carries. */
function addonRows(addon: DoctorFacts['addon']): Rows {
  if (addon === null) return [['addon', 'does not load']];
  const { target, profile, rustc, ptx } = addon.build;
  return [
    ['addon', addon.path],
    ['', `${addon.version}, ${profile} build for ${target} by rustc ${rustc}`],
    ...ptxRows(ptx),
  ];
}

/** The PTX, what needs the same in one row. */
function ptxRows(ptx: BuildInfo['ptx']): Rows {
  const namesOf = new Map<string, string[]>();
  for (const { name, minimumCapability, minimumCuda } of ptx) {
    const needs = `compute capability ${minimumCapability} or newer, driver for CUDA ${minimumCuda} or newer`;
    namesOf.set(needs, [...(namesOf.get(needs) ?? []), name]);
  }
  return [...namesOf].map(([needs, names], index) => [
    index === 0 ? 'PTX' : '',
    `${families(names).join(', ')}: ${needs}`,
  ]);
}

/** Names that begin with the same word as one: `words_* (7)`. */
function families(names: readonly string[]): string[] {
  const wordOf = (name: string) => name.replace(/_.*/, '');
  return [...new Set(names.map(wordOf))].map((word) => {
    const [first = word, ...others] = names.filter((name) => wordOf(name) === word);
    return others.length === 0 ? first : `${word}_* (${others.length + 1})`;
  });
}

/** Whether training runs, and what to do where it does not; a command has a line of its own, to be copied. */
function resultRows({ error, cuda }: DoctorFacts): Rows {
  if (error === null) return [['result', `training runs here, on the ${cuda?.available ? 'GPU' : 'CPU'}`]];
  const [, before, command] = /^(.*\brun:) (.+)$/i.exec(error.hint) ?? [];
  return [
    ['result', `training does not run here: ${error.message}`],
    ...((command === undefined
      ? [['', error.hint]]
      : [
          ['', before],
          ['', command],
        ]) as Rows),
  ];
}

/** The stages of the driver and, indented below each GPU that was tried, its own. */
function cudaRows(report: CudaReport): Rows {
  const { available, stages, devices, chosen, ptx } = report;
  const failed = stages.find(({ outcome }) => outcome === 'failed');
  const found = available
    ? `available: cuda:${chosen}, ${driverText(report)}, kernels ${ptx}`
    : `not available: ${failed?.name}: ${failed?.reason}`;
  const rows: Rows = [['CUDA', found]];
  const tried = devices.filter((device) => device.stages.length > 0);
  const ofDevices = tried.length > 0 ? (tried[0] as CudaDevice).stages.map(({ name }) => name) : [];
  rows.push(...stageRows(stages.filter(({ name }) => !ofDevices.includes(name))));
  for (const device of devices) {
    const { index, name, computeCapability, memoryBytes } = device;
    const facts = `${name}, compute capability ${computeCapability}, ${bytesText(memoryBytes)}`;
    const untried = chosen === undefined ? ', not tried' : ', not needed';
    const state = index === chosen ? '' : device.stages.length === 0 ? untried : ', not usable';
    rows.push([`  cuda:${index}`, facts + state], ...stageRows(device.stages, '  '));
  }
  return rows;
}

function stageRows(stages: readonly CudaStage[], indent = ''): Rows {
  return stages.flatMap(({ name, outcome, detail, reason, hint }) => {
    const text = outcome === 'passed' ? detail : outcome === 'failed' ? `${reason}: ${detail}` : outcome;
    const row: Rows[number] = [`${indent}  ${name}`, text];
    return hint === undefined || hint === '' ? [row] : [row, ['', hint]];
  });
}
