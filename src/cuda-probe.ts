/** Prints as JSON what stands between this machine and its GPUs. Run by doctor as a process of its own. */

import { native } from './native.js';

process.stdout.write(`${JSON.stringify(native.cudaReport())}\n`);
