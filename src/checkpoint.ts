/**
 * Checkpoints of a run in its output directory: guards what is there, writes them, reads them back for resuming.
 *
 * `trainer.safetensors` holds all that resuming needs, so that no crash can mix two files; it is written
 * first, then `model.safetensors`. Both are replaced whole or not at all.
 */

import { access, copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './atomic-file.js';
import { GruError } from './errors.js';
import { EventLog } from './event-log.js';
import { KeptModels } from './kept-models.js';
import {
  MODEL_FILE,
  type ModelContent,
  type ModelMetadata,
  readModelFile,
  TRAINER_FILE,
  type TrainerRecord,
} from './model-file.js';
import type { Network } from './native.js';
import type { OutputDirectory } from './output-directory.js';
import type { Position, Snapshot } from './position.js';

/** Name of the event log in an output directory. */
export const EVENT_LOG_FILE = 'events.ndjson';
/** The last checkpoint that was due, beside a later one that a stop made: what a run that diverges goes back to. */
const LAST_GOOD_FILE = 'last-good.safetensors';

/** What a trainer file holds. */
export interface ResumePoint extends ModelContent {
  state: Float32Array;
  metadata: ModelMetadata & { trainer: TrainerRecord };
}

/**
 * The file of the checkpoint that a run goes on from.
 *
 * @throws GruError GRU_MODEL when there is none in `out`
 */
export async function findResumePoint(out: string): Promise<string> {
  const path = join(out, TRAINER_FILE);
  if (await exists(path)) return path;
  throw new GruError(
    'GRU_MODEL',
    `expected a checkpoint to resume from at ${path}, received nothing there`,
    'Leave out --resume to begin a new run, or name its directory with --out.',
  );
}

/**
 * Reads the checkpoint that a run goes on from.
 *
 * @throws GruError GRU_MODEL when there is none in `out`, or it is damaged
 */
export async function readResumePoint(out: string): Promise<ResumePoint> {
  const path = await findResumePoint(out);
  return resumePoint(await readModelFile(path), path);
}

/**
 * Reads what a resumed run goes back to if it diverges; undefined where there is nothing of the kind.
 *
 * @throws GruError GRU_MODEL when it is damaged, or of another run
 */
export async function readLastGood(out: string, resumed: ResumePoint): Promise<Snapshot | undefined> {
  const path = join(out, LAST_GOOD_FILE);
  if (!(await exists(path))) return undefined;
  const { parameters, state, metadata } = resumePoint(await readModelFile(path), path);
  const isSameRun =
    parameters.length === resumed.parameters.length &&
    state.length === resumed.state.length &&
    metadata.corpus.sha256 === resumed.metadata.corpus.sha256;
  if (isSameRun) return { parameters, state, position: metadata.trainer.position };
  throw new GruError(
    'GRU_MODEL',
    `expected an earlier checkpoint of the same run in ${path}, received one of another`,
    'Remove that file to go on without it.',
  );
}

/** A file's content as that of a checkpoint; as {@link readResumePoint}. */
export function resumePoint(content: ModelContent, path: string): ResumePoint {
  const { metadata, state } = content;
  const trainer = metadata?.trainer;
  const rows = state === undefined ? 0 : state.length / content.hiddenSize;
  if (
    metadata === undefined ||
    state === undefined ||
    rows !== metadata.config.batchSize ||
    trainer === undefined
  ) {
    throw new GruError(
      'GRU_MODEL',
      `expected the state of a training run in ${path}, received a file without it`,
      'The file is damaged or not a trainer file; begin a new run with --overwrite.',
    );
  }
  return { ...content, state, metadata: { ...metadata, trainer } };
}

/** How the checkpoints of a run are written. */
export interface WriterOptions {
  /** Replace a model that is there; what is there stays until the first checkpoint. */
  overwrite: boolean;
  /** How many of the latest models are kept. */
  keep: number;
  /** The record to go on from. */
  resumed?: TrainerRecord | undefined;
}

/** Writes the checkpoints of one run. */
export class CheckpointWriter {
  readonly log: EventLog;
  readonly #directory: OutputDirectory;
  readonly #kept: KeptModels;
  #closed = false;

  private constructor(directory: OutputDirectory, log: EventLog, kept: KeptModels) {
    this.#directory = directory;
    this.log = log;
    this.#kept = kept;
  }

  /**
   * Checks that a directory may be written to, before any work is done. From then on it is the writer's to release.
   *
   * @throws GruError GRU_OUTPUT_EXISTS when a model is there and neither resuming nor overwriting was asked for
   */
  static async open(directory: OutputDirectory, options: WriterOptions): Promise<CheckpointWriter> {
    const { path } = directory;
    const { overwrite, keep, resumed } = options;
    for (const file of [TRAINER_FILE, MODEL_FILE].map((name) => join(path, name))) {
      if (resumed === undefined && !overwrite && (await exists(file))) throw outputExists(path, file);
    }
    const log = new EventLog(join(path, EVENT_LOG_FILE), resumed?.eventLogBytes ?? 0);
    return new CheckpointWriter(directory, log, new KeptModels(path, keep, resumed !== undefined));
  }

  /** The directory. */
  get path(): string {
    return this.#directory.path;
  }

  /** Closes the log and lets other runs into the directory. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.log.close();
    this.#directory.release();
  }

  /**
   * Saves a run as it is now: the trainer file, then the model file, then after whole epochs the one that is kept. The
   * network writes them itself, so that no parameters come into JavaScript's memory; it must not train meanwhile.
   *
   * @throws GruError GRU_IO; the checkpoint before is then intact
   */
  async save(
    network: Network,
    metadata: ModelMetadata,
    position: Readonly<Position>,
    source: Pick<TrainerRecord, 'sources' | 'reading'>,
  ): Promise<void> {
    const trainer: TrainerRecord = { ...source, position, eventLogBytes: this.log.bytes };
    await this.log.sync();
    const writing = (content: ModelMetadata, withState: boolean) => (temporary: string) =>
      network.writeModel(temporary, JSON.stringify(content), withState);
    await writeAtomically(join(this.path, TRAINER_FILE), writing({ ...metadata, trainer }, true));
    await writeAtomically(join(this.path, MODEL_FILE), writing(metadata, false));
    // Of whole epochs only: a file that is called after an epoch holds the model after it.
    if (position.lossSums.length === 0) await this.#kept.save(position.epochs, writing(metadata, false));
  }

  /** Makes the checkpoint just saved the one to go back to. */
  async markGood(): Promise<void> {
    const from = join(this.path, TRAINER_FILE);
    await writeAtomically(join(this.path, LAST_GOOD_FILE), (temporary) => copyFile(from, temporary));
  }

  /** Removes the one to go back to, for a run that does not. */
  async forgetGood(): Promise<void> {
    await rm(join(this.path, LAST_GOOD_FILE), { force: true });
  }
}

function outputExists(path: string, file: string): GruError {
  return new GruError(
    'GRU_OUTPUT_EXISTS',
    `expected an output directory without a model, received ${file}`,
    `Go on with it by --resume, replace it by --overwrite, or choose another directory than ${path} with --out.`,
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
