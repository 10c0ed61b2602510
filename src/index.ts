/** The public exports of the package. */

export {
  DEFAULT_CONFIG,
  type DeviceName,
  type OnDivergence,
  type Precision,
  type Sampling,
  type StateReset,
  type TrainingConfig,
} from './config.js';
export { type Corpus, corpusFromText, type LoadCorpusOptions, loadCorpus, type Reading } from './corpus.js';
export type { Encoding, FoundEncoding } from './encoding.js';
export { type ErrorCode, GruError } from './errors.js';
export type { EvaluateOptions, Evaluation, EvaluationProgress } from './evaluation.js';
export type {
  BestEpoch,
  CheckpointEvent,
  EndEvent,
  EpochEvent,
  ErrorEvent,
  Gpu,
  ProgressEvent,
  RollbackEvent,
  SampleEvent,
  StartEvent,
  TrainEvent,
} from './events.js';
export type { GenerateAllOptions, GenerateOptions, PrefixReport } from './generator.js';
export { LanguageModel, type LoadOptions } from './model.js';
export type { CorpusInfo, ModelMetadata, SavedConfig } from './model-file.js';
export {
  CancelFlag,
  type EpochPlan,
  type EpochProgress,
  type EpochResult,
  type ForwardResult,
  Generation,
  type GenerationOptions,
  type GenerationPiece,
  type GpuFacts,
  type GradientResult,
  Network,
  type NetworkOptions,
  type ParameterTensor,
} from './native.js';
export { perplexity } from './perplexity.js';
export { RESUMABLE } from './resuming.js';
export type { SamplingOptions } from './sampling.js';
export type { SavedSource, TrainOptions } from './setup.js';
export { TrainingRun, train } from './train.js';
export type { UnknownCharacter, UnknownPolicy, UnknownReport } from './unknown.js';
export { Vocabulary } from './vocabulary.js';
