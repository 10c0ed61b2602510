/**
 * Part of npm run check: the committed PTX is what the kernels' sources give, and every kernel is within its
 * budget. Without nvcc this is known from hashes; with it, the modules are compiled again and compared. In
 * continuous integration (CI is set) nvcc must be there.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUDGET, budgetProblems, MANIFEST, MODULES, readJson, treeProblems } from './kernels.mjs';
import { buildKernels, findNvcc, versionProblem } from './nvcc.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const REBUILD = 'run npm run build:kernels and commit what it writes';

/** Compiles again; returns a problem for each file that differs from the committed one. */
async function rebuildProblems(nvcc) {
  const committed = (path) => readFileSync(join(ROOT, path), 'utf8');
  const files = await buildKernels(ROOT, MODULES, MANIFEST, nvcc, committed);
  return Object.entries(files)
    .filter(([path, text]) => readFileSync(join(ROOT, path), 'utf8') !== text)
    .map(([path]) => `${path}: expected the text that nvcc gives, received another: ${REBUILD}`);
}

async function problemsOfKernels() {
  const manifest = readJson(ROOT, MANIFEST);
  const problems = [
    ...treeProblems(ROOT, MODULES, manifest).map((problem) => `${problem}: ${REBUILD}`),
    ...budgetProblems(manifest, readJson(ROOT, BUDGET)).map((problem) => `${problem}: see ${BUDGET}`),
  ];
  if (problems.length > 0) return problems;

  const nvcc = findNvcc(ROOT);
  const missing = nvcc ? versionProblem(nvcc) : 'expected nvcc, received none: run npm run get-nvcc';
  if (!missing) return rebuildProblems(nvcc);
  if (process.env.CI) return [missing];
  console.log(`skipped: kernels are not compiled and compared: ${missing}`);
  return [];
}

try {
  const problems = await problemsOfKernels();
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
