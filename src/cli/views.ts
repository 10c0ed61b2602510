/** What a training run looks like: for people on a terminal or in a log, and for programs as NDJSON. */

import {
  type CheckpointEvent,
  type EpochEvent,
  type ProgressEvent,
  type StartEvent,
  type TrainEvent,
  toNdjson,
} from '../events.js';
import { packageVersion } from '../package-version.js';
import { perplexity } from '../perplexity.js';
import { reportsAfter } from '../schedule.js';
import { duration, grouped, LiveLine, plural } from './live-line.js';
import { noteLine } from './notes.js';
import { DEFAULT_OUT } from './options.js';
import { bytesText, driverText } from './table.js';

/** At a perplexity below this a model has its corpus by heart. */
const MEMORISED = 1.5;

/** One event a line on stdout. */
export class NdjsonView {
  show(event: TrainEvent): void {
    if (event.type !== 'progress') process.stdout.write(toNdjson(event));
  }
}

/**
 * Reports and samples on stdout; on stderr what is running, notices and, on a terminal, one live line.
 */
export class TerminalView {
  readonly #quiet: boolean;
  readonly #live: LiveLine;
  #start: StartEvent | undefined;
  #lastEpoch: EpochEvent | undefined;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
    this.#live = new LiveLine(!quiet);
  }

  show(event: TrainEvent): void {
    if (this.#quiet) return;
    switch (event.type) {
      case 'start':
        this.#start = event;
        this.#introduce(event);
        break;
      case 'progress':
        this.#draw(event);
        break;
      case 'epoch':
        this.#lastEpoch = event;
        if (this.#start !== undefined && reportsAfter(this.#start.config, event.epoch)) this.#report(event);
        else this.#draw();
        break;
      case 'sample':
        this.#print(process.stdout, ` - ${event.text}`);
        break;
      case 'checkpoint':
        this.#tellCheckpoint(event);
        break;
      case 'rollback':
        this.#print(process.stderr, noteLine(`diverged: ${event.reason}`));
        this.#print(
          process.stderr,
          noteLine(`going back to epoch ${event.epoch}, with a learning rate of ${event.learningRate}`),
        );
        break;
      case 'end':
        this.#conclude(event.seconds, event.path);
        break;
    }
  }

  #introduce({
    config,
    corpus,
    parameters,
    device,
    cpuPath,
    gpu,
    threads,
    updatesPerEpoch,
    epochsDone,
    notices,
  }: StartEvent): void {
    const place =
      gpu === undefined
        ? `${device}, ${plural(threads, 'thread')}, ${cpuPath} kernels`
        : `${device}, ${gpu.name} (${bytesText(gpu.memoryBytes)}, compute capability ${gpu.computeCapability}, ${driverText(gpu)}, ${gpu.ptx})`;
    const goesOn = epochsDone > 0 ? `, going on after epoch ${epochsDone}` : '';
    this.#print(
      process.stderr,
      `gru-native ${packageVersion()}: ${config.epochs} epochs of ${updatesPerEpoch} updates on ${place}${goesOn}`,
    );
    const sizes = `${grouped(corpus.characters)} characters, ${grouped(corpus.vocabSize)} distinct; ${grouped(parameters)} parameters`;
    this.#print(process.stderr, `corpus ${corpus.name}: ${sizes}`);
    for (const notice of notices) this.#print(process.stderr, noteLine(notice));
  }

  #report(event: EpochEvent): void {
    const speed = `${grouped(Math.round(event.tokensPerSecond))} characters/s`;
    const figures = `perplexity ${event.perplexity.toPrecision(5)}`;
    this.#print(
      process.stdout,
      `epoch ${event.epoch}, ${figures}, ${event.seconds.toFixed(2)} s an epoch, ${speed}`,
    );
  }

  /** One that comes with a report goes without saying; the end names the directory. */
  #tellCheckpoint({ epoch, updates, path }: CheckpointEvent): void {
    if (this.#start === undefined || (updates === 0 && reportsAfter(this.#start.config, epoch))) return;
    const part = updates === 0 ? '' : ` and ${plural(updates, 'update')}`;
    this.#print(process.stderr, `saved in ${path}, after ${plural(epoch, 'epoch')}${part}`);
  }

  #conclude(seconds: number, path: string | null): void {
    const last = this.#lastEpoch;
    if (last !== undefined && last.perplexity < MEMORISED) {
      const meaning = 'the model knows its corpus by heart; expect it to write stretches of it';
      this.#print(
        process.stderr,
        `note: a perplexity of ${last.perplexity.toPrecision(3)} means that ${meaning}`,
      );
    }
    const where =
      path === null
        ? ''
        : `, saved in ${path}; write lyrics with: npx gru-native generate${path === DEFAULT_OUT ? '' : ` ${path}`}`;
    this.#print(process.stderr, `trained for ${duration(seconds)}${where}`);
  }

  /** The live line: where the run is, how it does, how long it will take. */
  #draw(progress?: ProgressEvent): void {
    if (this.#start === undefined || !this.#live.due) return;
    const { config, updatesPerEpoch } = this.#start;
    const last = this.#lastEpoch;
    const epoch = progress?.epoch ?? last?.epoch ?? 1;
    const share =
      progress === undefined ? '' : ` ${Math.floor((100 * progress.updates) / updatesPerEpoch)} %`;
    const current =
      progress !== undefined && last === undefined
        ? perplexity(progress.lossSum, progress.tokens)
        : last?.perplexity;
    const parts = [`epoch ${epoch}/${config.epochs}${share}`];
    if (current !== undefined) parts.push(`perplexity ${current.toPrecision(5)}`);
    if (last !== undefined) {
      const done = progress === undefined ? 0 : progress.updates / updatesPerEpoch;
      parts.push(`${grouped(Math.round(last.tokensPerSecond))} characters/s`);
      parts.push(`${duration((config.epochs - last.epoch - done) * last.seconds)} left`);
    }
    this.#live.draw(parts);
  }

  /** Prints a line, wiping the live one first. */
  #print(stream: NodeJS.WriteStream, line: string): void {
    this.#live.wipe();
    stream.write(`${line}\n`);
  }
}
