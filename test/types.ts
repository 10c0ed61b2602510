/**
 * The types of the public API, checked by the compiler alone (`tsc -p tsconfig.json`): each `Same` holds two types to be
 * the same, each `@ts-expect-error` a mistake to be one. Nothing here runs.
 */

import {
  type CancelFlag,
  type Corpus,
  corpusFromText,
  DEFAULT_CONFIG,
  type EpochEvent,
  type EpochPlan,
  type EpochProgress,
  type EpochResult,
  type ErrorCode,
  type EvaluateOptions,
  type Evaluation,
  type ForwardResult,
  type GenerateAllOptions,
  type GenerateOptions,
  Generation,
  type GenerationPiece,
  type GradientResult,
  type GruError,
  type LanguageModel,
  type LoadCorpusOptions,
  loadCorpus,
  Network,
  type NetworkOptions,
  type ParameterTensor,
  type perplexity,
  type RESUMABLE,
  type SampleEvent,
  type TrainEvent,
  type TrainingConfig,
  type TrainingRun,
  type TrainOptions,
  train,
  type UnknownReport,
  type Vocabulary,
} from '../src/index.js';

/** True where two types are the same: neither wider, nor `any`, nor with other modifiers. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Does not compile unless it is the same. */
type Same<A, B extends Equal<A, B> extends true ? unknown : never> = B;

/** The assertion itself: it tells `any` and optional members apart. */
export type OfTheAssertion = [
  Same<Equal<string, string>, true>,
  // biome-ignore lint/suspicious/noExplicitAny: it is what must not pass
  Same<Equal<string, any>, false>,
  Same<Equal<{ a?: string }, { a: string | undefined }>, false>,
  Same<Equal<{ readonly a: string }, { a: string }>, false>,
  // @ts-expect-error: not the same
  Same<string, number>,
];

export type OfCorpora = [
  Same<ReturnType<typeof loadCorpus>, Promise<Corpus>>,
  Same<ReturnType<typeof corpusFromText>, Corpus>,
  Same<Parameters<typeof loadCorpus>[0], string | readonly string[]>,
  Same<LoadCorpusOptions['maxChars'], number | 'all' | undefined>,
  Same<
    LoadCorpusOptions['encoding'],
    'auto' | 'utf-8' | 'utf-16le' | 'utf-16be' | 'gb18030' | 'gbk' | 'big5' | undefined
  >,
  Same<Corpus['encodings'], readonly ('utf-8' | 'utf-16le' | 'utf-16be' | 'gb18030' | 'big5')[]>,
];

export type OfOptions = [
  Same<typeof DEFAULT_CONFIG, Readonly<TrainingConfig>>,
  Same<typeof RESUMABLE, readonly (keyof TrainingConfig)[]>,
  Same<TrainingConfig['sampling'], 'adjacent' | 'random'>,
  Same<TrainingConfig['stateReset'], 'auto' | 'epoch' | 'batch'>,
  Same<TrainingConfig['device'], 'auto' | 'cpu' | 'cuda' | `cuda:${number}`>,
  Same<TrainingConfig['precision'], 'fp32' | 'tf32' | 'bf16' | 'fp32-exact'>,
  Same<TrainingConfig['threads'], number | 'auto'>,
  Same<TrainOptions['hiddenSize'], number | undefined>,
  Same<Exclude<keyof TrainOptions, keyof TrainingConfig>, (typeof BESIDE_CONFIG)[number]>,
];
const BESIDE_CONFIG = ['corpus', 'out', 'overwrite', 'resume', 'initFrom', 'signal', 'onGpuWait'] as const;

export type OfRuns = [
  Same<ReturnType<typeof train>, TrainingRun>,
  Same<ReturnType<TrainingRun[typeof Symbol.asyncIterator]>, AsyncGenerator<TrainEvent, void, void>>,
  Same<ReturnType<TrainingRun['model']>, Promise<LanguageModel>>,
  Same<TrainEvent['type'], 'start' | 'progress' | 'epoch' | 'sample' | 'checkpoint' | 'rollback' | 'end'>,
  Same<Extract<TrainEvent, { type: 'epoch' }>, EpochEvent>,
  Same<Extract<TrainEvent, { type: 'sample' }>, SampleEvent>,
];

export type OfModels = [
  Same<ReturnType<LanguageModel['generate']>, Promise<string>>,
  Same<ReturnType<LanguageModel['stream']>, AsyncGenerator<string, void, void>>,
  Same<ReturnType<LanguageModel['generateAll']>, Promise<string[]>>,
  Same<ReturnType<LanguageModel['streamAll']>, AsyncGenerator<string[], void, void>>,
  Same<ReturnType<LanguageModel['evaluate']>, Promise<Evaluation>>,
  Same<LanguageModel['vocabulary'], Vocabulary>,
  Same<GenerateOptions['unknown'], 'error' | 'skip' | 'nearest' | undefined>,
  Same<Exclude<keyof GenerateAllOptions, keyof GenerateOptions>, 'count'>,
  Same<EvaluateOptions['onUnknown'], ((report: UnknownReport) => void) | undefined>,
];

export type OfErrors = [
  Same<GruError['code'], ErrorCode>,
  Same<GruError['hint'], string>,
  Same<GruError['name'], 'GruError'>,
  Same<
    Extract<ErrorCode, `GRU_CORPUS${string}`>,
    'GRU_CORPUS' | 'GRU_CORPUS_TOO_SHORT' | 'GRU_CORPUS_DOWNLOAD'
  >,
];

type OnProgress = ((progress: EpochProgress) => void) | null | undefined;
type Run = [plan: EpochPlan, cancel?: CancelFlag | null | undefined, onProgress?: OnProgress];

export type OfNetworks = [
  Same<ConstructorParameters<typeof Network>, [options: NetworkOptions]>,
  Same<Parameters<Network['trainEpoch']>, Run>,
  Same<Parameters<Network['evaluate']>, Run>,
  Same<ReturnType<Network['trainEpoch']>, Promise<EpochResult>>,
  Same<ReturnType<Network['evaluate']>, Promise<EpochResult>>,
  Same<ReturnType<Network['forward']>, Promise<ForwardResult>>,
  Same<ReturnType<Network['gradient']>, Promise<GradientResult>>,
  Same<ReturnType<Network['generate']>, Promise<GenerationPiece>>,
  Same<ReturnType<Network['parameters']>, Promise<Float32Array>>,
  Same<Network['parameterTensors'], ParameterTensor[]>,
  Same<EpochPlan['starts'], Int32Array>,
  Same<EpochPlan['learningRate'], Float32Array>,
  Same<EpochPlan['firstUpdate'], number | undefined>,
  Same<EpochResult['lossSum'], Float64Array>,
  Same<EpochResult['stopped'], 'completed' | 'cancelled' | 'non-finite'>,
  Same<ReturnType<typeof perplexity>, number>,
];

/** `type` tells the events apart. */
export function narrowed(event: TrainEvent): number | string | null {
  switch (event.type) {
    case 'start':
      return event.config.hiddenSize;
    case 'progress':
      return event.updates;
    case 'epoch':
      // @ts-expect-error: only a sample has a text
      event.text;
      return event.gradNormMedian;
    case 'sample':
      return event.text;
    case 'checkpoint':
      return event.path;
    case 'rollback':
      return event.reason;
    case 'end':
      return event.perplexity;
    default:
      return event satisfies never;
  }
}

/** What the compiler refuses. */
export async function refused(model: LanguageModel, network: Network, corpus: Corpus, error: GruError) {
  // @ts-expect-error: a corpus must be given
  train({ epochs: 1 });
  // @ts-expect-error: no such option
  train({ corpus, hidden_size: 8 });
  // @ts-expect-error: a number
  train({ corpus, epochs: '1' });
  // @ts-expect-error: no such sampling
  train({ corpus, sampling: 'shuffled' });
  // @ts-expect-error: no such device
  train({ corpus, device: 'gpu' });
  // @ts-expect-error: the defaults are not to be changed
  DEFAULT_CONFIG.epochs = 1;
  // @ts-expect-error: no such encoding
  loadCorpus('songs', { encoding: 'latin1' });
  // @ts-expect-error: a text, not bytes
  corpusFromText(new Uint8Array());
  // @ts-expect-error: no such code
  error.code === 'GRU_NOTHING';
  // @ts-expect-error: several texts are for generateAll
  model.generate('风', { count: 2 });
  // @ts-expect-error: no such policy
  model.evaluate('风', { unknown: 'ignore' });
  // @ts-expect-error: a list of prefixes
  model.generateAll('风');
  // @ts-expect-error: sizes are required
  new Network({ vocabSize: 3 });
  // @ts-expect-error: seeds are required
  new Generation({ prefixes: [], temperature: 0, topK: 0, topP: 1, repetitionPenalty: 1 });
  const plan = { numSteps: 4, learningRate: Float32Array.of(0.1), maxGradNorm: 5, carryState: true };
  // @ts-expect-error: starts are required
  network.trainEpoch(plan);
  // @ts-expect-error: starts are Int32Array
  network.trainEpoch({ ...plan, starts: [0, 4] });
  // @ts-expect-error: an AbortSignal is no CancelFlag
  network.trainEpoch({ ...plan, starts: Int32Array.of(0) }, AbortSignal.abort());
  // @ts-expect-error: the sizes of a network stay
  network.hiddenSize = 8;
}
