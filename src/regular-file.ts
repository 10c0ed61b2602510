/** Reading a file that somebody named, which may be anything that has a name. */

import { open, stat } from 'node:fs/promises';

/**
 * The bytes of a regular file: a pipe may never end and a device never stop.
 *
 * @param goOn - gets the first 8 bytes and the size; where it says no, these are all that is read
 */
export async function readRegularFile(
  path: string,
  goOn: (head: Buffer, size: bigint) => boolean = () => true,
): Promise<Buffer> {
  if (!(await stat(path)).isFile()) throw new Error('what is no regular file'); // opening a pipe would wait
  const file = await open(path);
  try {
    const { size } = await file.stat({ bigint: true });
    const head = Buffer.alloc(8);
    const { bytesRead } = await file.read(head, 0, 8, 0);
    if (!goOn(head.subarray(0, bytesRead), size)) return head.subarray(0, bytesRead);
    return await file.readFile();
  } finally {
    await file.close(); // and not by \`await using\`, which the file handles of Yarn's Plug'n'Play do not know
  }
}
