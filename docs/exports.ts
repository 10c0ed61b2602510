/**
 * What is documented: the exports of the package. The classes of the addon are taken from where they are described; in
 * src/native.ts they are constants, since that file loads them.
 */

export { CancelFlag, Generation, Network } from '../index.js';
export * from '../src/index.js';
