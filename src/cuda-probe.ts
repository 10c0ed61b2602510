/**
 * Prints as JSON what stands between this machine and its GPUs or, with the word `kernels`, which kernels run on them.
 * Run by doctor as a process of its own.
 */

import { native } from './native.js';

const answer = process.argv[2] === 'kernels' ? native.kernelChoices(true) : native.cudaReport();
process.stdout.write(`${JSON.stringify(answer)}\n`);
