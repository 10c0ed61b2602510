/**
 * The output directory of a run: guards what is there, writes checkpoints, reads them back for resuming.
 *
 * `trainer.safetensors` holds all that resuming needs, so that no crash can mix two files; it is written
 * first, then `model.safetensors`. Both are replaced whole or not at all.
 */

import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, writeAtomically } from './atomic-file.js';
import { ENCODINGS } from './encoding.js';
import { GruError } from './errors.js';
import { EventLog } from './event-log.js';
import {
  MODEL_FILE,
  type ModelContent,
  type ModelMetadata,
  readModelFile,
  TRAINER_FILE,
  type TrainerRecord,
} from './model-file.js';
import type { Network } from './native.js';
import type { Position } from './trainer.js';

/** Name of the event log in an output directory. */
export const EVENT_LOG_FILE = 'events.ndjson';

/** What a trainer file holds. */
export interface ResumePoint extends ModelContent {
  state: Float32Array;
  metadata: ModelMetadata & { trainer: TrainerRecord };
}

/**
 * Reads the checkpoint that a run goes on from.
 *
 * @throws GruError GRU_MODEL when there is none in `out`, or it is damaged
 */
export async function readResumePoint(out: string): Promise<ResumePoint> {
  const path = join(out, TRAINER_FILE);
  if (!(await exists(path))) {
    throw new GruError(
      'GRU_MODEL',
      `expected a checkpoint to resume from at ${path}, received nothing there`,
      'Leave out --resume to begin a new run, or name its directory with --out.',
    );
  }
  const content = await readModelFile(path);
  const { metadata, state } = content;
  const trainer = metadata?.trainer;
  const rows = state === undefined ? 0 : state.length / content.hiddenSize;
  if (
    metadata === undefined ||
    state === undefined ||
    rows !== metadata.config.batchSize ||
    trainer === undefined ||
    !isTrainerRecord(trainer)
  ) {
    throw new GruError(
      'GRU_MODEL',
      `expected the state of a training run in ${path}, received a file without it`,
      'The file is damaged or not a trainer file; begin a new run with --overwrite.',
    );
  }
  return { ...content, state, metadata: { ...metadata, trainer } };
}

/** Whether a record from a file has the form it must have. */
function isTrainerRecord({ sources, reading, position, eventLogBytes }: TrainerRecord): boolean {
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isNumber = (value: unknown) => typeof value === 'number';
  if (
    !Array.isArray(sources) ||
    !sources.every((source) => typeof source === 'string' && source !== '') ||
    typeof reading !== 'object' ||
    reading === null ||
    !ENCODINGS.includes(reading.encoding) ||
    typeof reading.nfc !== 'boolean' ||
    !isCount(eventLogBytes) ||
    typeof position !== 'object' ||
    position === null
  ) {
    return false;
  }
  const { epochs, lossSums, gradientNorms, epochSeconds, perplexity, seconds } = position;
  return (
    isCount(epochs) &&
    Array.isArray(lossSums) &&
    Array.isArray(gradientNorms) &&
    lossSums.length === gradientNorms.length &&
    [...lossSums, ...gradientNorms, epochSeconds, seconds].every(isNumber) &&
    (perplexity === null || isNumber(perplexity))
  );
}

/** Writes the checkpoints of one run. */
export class CheckpointWriter {
  /** The directory. */
  readonly path: string;
  readonly log: EventLog;

  private constructor(path: string, log: EventLog) {
    this.path = path;
    this.log = log;
  }

  /**
   * Makes the directory and checks that it may be written to, before any work is done.
   *
   * @param resumed - the record to go on from
   * @throws GruError GRU_OUTPUT_EXISTS when a model is there and neither resuming nor overwriting was asked for
   */
  static async open(path: string, overwrite: boolean, resumed?: TrainerRecord): Promise<CheckpointWriter> {
    for (const file of [TRAINER_FILE, MODEL_FILE].map((name) => join(path, name))) {
      if (resumed === undefined && !overwrite && (await exists(file))) throw outputExists(path, file);
    }
    try {
      await mkdir(path, { recursive: true }); // what is there stays until the first checkpoint replaces it
    } catch (cause) {
      throw ioError(path, cause);
    }
    return new CheckpointWriter(path, new EventLog(join(path, EVENT_LOG_FILE), resumed?.eventLogBytes ?? 0));
  }

  /**
   * Saves a run as it is now: the trainer file, then the model file. The network writes them itself, so that no
   * parameters come into JavaScript's memory; it must not train meanwhile.
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
    const write = (name: string, content: ModelMetadata, withState: boolean) =>
      writeAtomically(join(this.path, name), (temporary) =>
        network.writeModel(temporary, JSON.stringify(content), withState),
      );
    await write(TRAINER_FILE, { ...metadata, trainer }, true);
    await write(MODEL_FILE, metadata, false);
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
