/** Where the chapter's corpus is on this machine, for what may do without it. */

/**
 * The path of the checked file that GRU_NATIVE_JAYCHOU names, else of the one in the user's cache, else undefined. A
 * file that is not what it should be is an error: whoever named or fetched it means it to be used.
 *
 * @param {(name: string, options: { offline: boolean }) => Promise<string>} corpusFile of the built package
 */
export async function corpusAtHand(corpusFile) {
  try {
    return await corpusFile('jaychou', { offline: true });
  } catch (/** @type {any} */ error) {
    if (!process.env.GRU_NATIVE_JAYCHOU && error.cause?.code === 'ENOENT') return undefined;
    throw error;
  }
}
