/**
 * npm run build:kernels: compiles the CUDA kernels and writes their PTX and manifest, which are committed, so
 * that neither users nor builds from source need a CUDA toolkit.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUDGET, budgetProblems, MANIFEST, MODULES, readJson } from './kernels.mjs';
import { buildKernels, findNvcc, versionProblem } from './nvcc.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

try {
  const nvcc = findNvcc(ROOT);
  if (!nvcc) throw new Error('expected nvcc, received none: run npm run get-nvcc, or name one in NVCC');
  const problem = versionProblem(nvcc);
  if (problem) throw new Error(problem);

  const files = await buildKernels(ROOT, MODULES, MANIFEST, nvcc);
  for (const [path, text] of Object.entries(files)) {
    writeFileSync(join(ROOT, path), text);
    console.log(`wrote ${path}, ${text.length} bytes`);
  }
  const problems = budgetProblems(readJson(ROOT, MANIFEST), readJson(ROOT, BUDGET));
  if (problems.length > 0) {
    throw new Error(`${problems.join('\n')}\nmake the kernel smaller, or change ${BUDGET} and say why`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
