/**
 * npm run get-nvcc: installs the pinned CUDA compiler from the Python package index into a folder that git
 * ignores (about 270 MB). Only whoever changes a kernel needs it. Does nothing if it is there already.
 */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALLED_NVCC, PACKAGES, TOOLKIT_FOLDER, versionProblem } from './nvcc.mjs';
import { installPins } from './python-packages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

try {
  installPins(join(ROOT, TOOLKIT_FOLDER), PACKAGES);
  const problem = versionProblem(join(ROOT, INSTALLED_NVCC));
  if (problem) throw new Error(problem);
  console.log(`${INSTALLED_NVCC} is ${PACKAGES[0]}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
