/** The models of the latest checkpoints, in a folder of their own beside the one of the run as it is. */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, syncDirectory, writeAtomically } from './atomic-file.js';
import { removeTemporaries } from './output-directory.js';

/** Name of the folder in an output directory. */
export const KEPT_FOLDER = 'checkpoints';

/** Keeps the last few models of a run. */
export class KeptModels {
  readonly #folder: string;
  readonly #keep: number;
  readonly #resumed: boolean;
  /** Epochs of the models of this run; undefined before the first is saved. */
  #epochs: number[] | undefined;

  /**
   * @param out - the output directory
   * @param keep - how many are kept; 0 writes none and removes none
   * @param resumed - whether the models that are there belong to this run; otherwise its first one replaces them
   */
  constructor(out: string, keep: number, resumed: boolean) {
    this.#folder = join(out, KEPT_FOLDER);
    this.#keep = keep;
    this.#resumed = resumed;
  }

  /**
   * Saves the model after an epoch, then removes what is too old.
   *
   * @param write - makes the file of the name it gets, where nothing is yet
   * @throws GruError GRU_IO
   */
  async save(epoch: number, write: (temporary: string) => Promise<void>): Promise<void> {
    if (this.#keep === 0) return;
    const folder = this.#folder;
    try {
      if ((await mkdir(folder, { recursive: true })) !== undefined) await syncDirectory(join(folder, '..'));
      if (this.#epochs === undefined) {
        await removeTemporaries(folder);
        this.#epochs = this.#resumed ? await this.#present() : [];
      }
    } catch (cause) {
      throw ioError(folder, cause);
    }
    await writeAtomically(join(folder, nameOf(epoch)), write);
    // After going back, epochs come again.
    this.#epochs = [...this.#epochs.filter((other) => other < epoch), epoch].slice(-this.#keep);
    try {
      for (const other of await this.#present()) {
        if (!this.#epochs.includes(other)) await rm(join(folder, nameOf(other)), { force: true });
      }
    } catch (cause) {
      throw ioError(folder, cause);
    }
  }

  /** The epochs of the models in the folder, ascending. */
  async #present(): Promise<number[]> {
    const epochs = (await readdir(this.#folder)).flatMap((name) => {
      const epoch = Number(/^epoch-(\d{5,})\.safetensors$/.exec(name)?.[1]);
      return nameOf(epoch) === name ? [epoch] : [];
    });
    return epochs.sort((a, b) => a - b);
  }
}

function nameOf(epoch: number): string {
  return `epoch-${String(epoch).padStart(5, '0')}.safetensors`;
}
