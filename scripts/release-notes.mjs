/**
 * node scripts/release-notes.mjs --checks FILE --tarballs DIR --out FILE: fills .github/release-notes.md with what is
 * new (CHANGELOG.md's section of this version), the table of npm run release:check, and the tarballs' checksums.
 */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageJson, ROOT } from './release-targets.mjs';

/** The section of a version, or what is not released yet where it has none: a release is tried before it is made. */
function changesOf(version, changelog) {
  const sections = changelog.split(/^## /m);
  const found = [`[${version}]`, '[Unreleased]'].map((head) =>
    sections.find((text) => text.startsWith(head)),
  );
  const section = found.find((text) => text !== undefined);
  if (section === undefined)
    throw new Error(`expected CHANGELOG.md to have a section [${version}], received none`);
  return section.slice(section.indexOf('\n') + 1).trim();
}

function checksums(directory) {
  const names = readdirSync(directory).filter((name) => name.endsWith('.tgz'));
  if (names.length === 0) throw new Error(`expected tarballs in ${directory}, received none`);
  const digest = (name) =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex');
  return names
    .sort()
    .map((name) => `${digest(name)}  ${name}`)
    .join('\n');
}

/** The template with a value for each `{{name}}`; throws where one has none, or is not in the template. */
function fill(template, values) {
  const unused = new Set(Object.keys(values));
  const text = template.replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (!(name in values))
      throw new Error(`expected one of ${Object.keys(values).join(', ')}, received {{${name}}}`);
    unused.delete(name);
    return values[name];
  });
  if (unused.size > 0)
    throw new Error(`expected {{${[...unused].join('}}, {{')}}} in the template, received none`);
  return text;
}

try {
  const names = ['checks', 'tarballs', 'out'];
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
  const { values } = parseArgs({ options });
  for (const name of names) if (!values[name]) throw new Error(`expected --${name}, received none`);
  const { version } = packageJson();
  const text = fill(readFileSync(join(ROOT, '.github/release-notes.md'), 'utf8'), {
    changes: changesOf(version, readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')),
    checks: readFileSync(values.checks, 'utf8').trim(),
    checksums: checksums(values.tarballs),
  });
  writeFileSync(values.out, text);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
