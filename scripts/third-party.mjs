/**
 * The licences of what is linked into an addon: a text for its package, from the sources that cargo holds. Licences ask
 * that their text goes with the binary.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './release-targets.mjs';

const LICENCE_FILE = /^(licen[cs]e|copying|notice|copyright)/i;

function cargo(...args) {
  return execFileSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 });
}

/** Names and versions of the crates linked into the addon for `triple`, ours left out, such as `rayon 1.12.0`. */
function linkedCrates(triple) {
  const options = ['--edges', 'normal,no-proc-macro', '--prefix', 'none', '--format', '{p}', '--locked'];
  const tree = cargo('tree', '--package', 'gru-napi', '--target', triple, ...options);
  const crates = tree.matchAll(/^(\S+) v(\S+)(?: \(\/[^)]*\))?/gm);
  const names = new Set([...crates].map(([, name, version]) => `${name} ${version}`));
  return [...names].filter((name) => !name.startsWith('gru-'));
}

/** The licence files of a crate, such as its MIT and its Apache text. */
function licenceTexts(manifest) {
  const folder = dirname(manifest);
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map(({ name }) => name).filter((name) => LICENCE_FILE.test(name));
  return names.sort().map((name) => readFileSync(join(folder, name), 'utf8').trim());
}

/**
 * Markdown: a table of the crates with their licences, and every text once, with the crates that have it. Throws where
 * a crate names no licence.
 */
export function thirdPartyText(triple) {
  const metadata = JSON.parse(cargo('metadata', '--format-version', '1', '--locked'));
  const packages = new Map(metadata.packages.map((crate) => [`${crate.name} ${crate.version}`, crate]));
  const rows = [];
  const texts = new Map();
  for (const name of linkedCrates(triple).sort()) {
    const crate = packages.get(name);
    if (!crate?.license) throw new Error(`expected a licence of the crate ${name}, received none`);
    rows.push(`| ${name} | ${crate.license} | ${crate.repository ?? ''} |`);
    for (const text of licenceTexts(crate.manifest_path)) texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  const parts = [...texts].map(([text, names]) => `## ${names.join(', ')}\n\n\`\`\`text\n${text}\n\`\`\``);
  const head =
    '# What is linked into this addon\n\nRust crates, each under the licence that it names, and parts of the standard library of Rust (MIT OR Apache-2.0).';
  return `${head}\n\n| crate | licence | source |\n| --- | --- | --- |\n${rows.join('\n')}\n\n${parts.join('\n\n')}\n`;
}
