// The documents and rows inside artifacts, by kind: the contract between steps (and with users' own tools).
// Field names are part of the file format and stay snake_case.

import type { Json, JsonObject } from './json.ts';

export type BuiltinKind =
  'dataset' | 'prompts' | 'model' | 'adapter' | 'predictions' | 'scores' | 'comparison';
/** Plugins may add kinds of their own. */
export type ArtifactKind = BuiltinKind | `x-${string}`;

// dataset: rows.jsonl (DatasetRow), dataset.json
export interface DatasetRow extends JsonObject {
  readonly id: string;
  /** First 16 hex digits of the SHA-256 over the source row's question and answer fields. */
  readonly item: string;
}
export interface DatasetDocument {
  readonly columns: readonly string[];
  readonly count: number;
  readonly source: JsonObject;
  readonly dropped: readonly { readonly reason: string; readonly count: number }[];
  readonly licence?: string;
}

// prompts: rows.jsonl (PromptRow), format.json
export interface Message extends JsonObject {
  readonly role: string;
  readonly content: string;
}
export interface Choice {
  readonly label: string;
  /** What is appended to the prompt, with the space before it: for a template that asks for a letter, the letter. */
  readonly text: string;
  /** The option's own words, where `text` isn't these. */
  readonly option?: string;
  /** Token ids given instead of text. */
  readonly tokens?: readonly number[];
}
export interface PromptRow {
  readonly id: string;
  readonly item: string;
  /** The text exactly as fed to the model (a chat template is already applied). */
  readonly prompt?: string;
  /** The conversation the prompt was rendered from, where there was one. */
  readonly messages?: readonly Message[];
  /** What follows the prompt: the trained part, or the reference for perplexity. */
  readonly completion?: string;
  readonly choices?: readonly Choice[];
  /** A label of `choices`, or text. */
  readonly answer?: string;
  readonly references?: readonly string[];
  readonly group?: Readonly<Record<string, string>>;
  /** Given instead of text, the model needs no tokenizer. */
  readonly prompt_tokens?: readonly number[];
  readonly completion_tokens?: readonly number[];
}
export interface FormatDocument {
  readonly template: Json;
  /** SHA-256 of everything that decides how text is made: template, chat template, system text, BOS/EOS rule. */
  readonly digest: string;
  /** Whether the rendered text already holds the special tokens, so that encoding must not add them again. */
  readonly special_tokens_in_text: boolean;
  /** Whether the model's end token follows the completion when training. */
  readonly append_eos: boolean;
  readonly chat: { readonly template_digest: string; readonly system: string | null } | null;
  readonly count: number;
  readonly dropped: readonly { readonly reason: string; readonly count: number }[];
}

// model: model.json + tokenizer files + checkpoint files (usually referenced, not copied)
export interface ModelDocument {
  readonly architecture: string;
  /** The checkpoint's own config.json (HF keys); for GGUF, its metadata in HF's keys. */
  readonly config: JsonObject;
  /** Files of this artifact that hold weights, by relative name. */
  readonly checkpoint: {
    readonly format: 'safetensors' | 'gguf' | 'torch' | 'mesa';
    readonly files: readonly {
      readonly name: string;
      readonly size: number;
      readonly sha256: string;
    }[];
  };
  readonly tokenizer: {
    /** Which files decide; a GGUF file's own tokenizer is written out as such files. */
    readonly kind:
      'tokenizer.json' | 'vocab+merges' | 'fairseq' | 'sentencepiece' | 'tiktoken' | 'none';
    readonly files: readonly string[];
  };
  readonly chat_template: string | null;
  readonly quantization: JsonObject | null;
  readonly dtype: string;
}

// adapter: a PEFT folder + training.json
export interface TrainingLogEntry {
  readonly step: number;
  readonly loss: number;
  readonly grad_norm: number;
  readonly learning_rate: number;
  /** Of all rows of the step. */
  readonly tokens: number;
  /** Of them supervised: what the loss is the mean over. */
  readonly label_tokens: number;
  readonly epoch: number;
}
export interface TrainingDocument {
  readonly base_model: string;
  readonly format: string | null;
  readonly rows: {
    readonly trained: number;
    readonly dropped: readonly { readonly reason: string; readonly count: number }[];
  };
  readonly log: readonly TrainingLogEntry[];
  readonly evaluations: readonly { readonly step: number; readonly loss: number }[];
  readonly stopped: 'finished' | 'early-stopping' | 'max-steps';
  /** The step whose parameters are kept. */
  readonly kept_step: number;
}

// predictions: rows.jsonl (PredictionRow), predictions.json
export interface ScoredChoice {
  readonly label: string;
  readonly text: string;
  /** Sum of the natural-log probabilities of the choice's tokens. */
  readonly logprob: number;
  readonly tokens: number;
  readonly is_greedy: boolean;
}
export interface PredictionRow {
  readonly id: string;
  readonly item: string;
  readonly prompt?: string;
  readonly completion?: string;
  readonly answer?: string;
  readonly references?: readonly string[];
  readonly group?: Readonly<Record<string, string>>;
  /** mode text */
  readonly text?: string;
  /** mode text: generated ids; mode perplexity: how many tokens were scored. */
  readonly tokens?: readonly number[] | number;
  readonly finish_reason?: 'stop' | 'length' | 'eos';
  /** mode choices: with log-probabilities; mode text: the prompt's choices, so that answers can be matched. */
  readonly choices?: readonly (ScoredChoice | Choice)[];
  readonly prediction?: string;
  /** mode perplexity: sum over the scored tokens. */
  readonly logprob?: number;
}
export interface PredictionsDocument {
  readonly mode: 'text' | 'choices' | 'perplexity';
  readonly model: string;
  readonly adapter: string | null;
  readonly decoding: JsonObject;
  readonly batch_invariant: boolean;
  readonly count: number;
}

// scores: scores.json, rows.jsonl (ScoreRow)
export interface MetricValue {
  readonly value: number;
  readonly stderr: number | null;
  readonly ci95: readonly [number, number] | null;
  readonly n: number;
  readonly higher_is_better: boolean | null;
  readonly baseline?: { readonly majority: number; readonly random: number };
}
export interface ScoresDocument {
  readonly metrics: Readonly<Record<string, MetricValue>>;
  /** group name -> group value -> metrics. */
  readonly groups: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<string, MetricValue>>>>>
  >;
  readonly count: number;
}
export interface ScoreRow {
  readonly id: string;
  readonly item: string;
  readonly group?: Readonly<Record<string, string>>;
  readonly cluster?: string;
  /** null where the metric isn't defined for the row. */
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Corpus metrics: what is summed over rows (for example log-probability and tokens). */
  readonly parts?: Readonly<Record<string, readonly number[]>>;
}

// comparison: comparison.json
export interface PairedComparison {
  readonly metric: string;
  /** The candidate's label among several, null where there is one. */
  readonly candidate: string | null;
  readonly baseline_value: number;
  readonly candidate_value: number;
  readonly difference: number;
  readonly ci95: readonly [number, number];
  readonly p: number | null;
  readonly p_adjusted: number | null;
  readonly n: number;
  readonly wins: number;
  readonly losses: number;
  readonly ties: number;
  readonly smallest_detectable_difference: number | null;
  readonly higher_is_better: boolean | null;
  readonly verdict: 'better' | 'worse' | 'no difference shown';
  readonly test: string;
}
export interface GateResult {
  readonly expression: string;
  readonly candidate: string | null;
  readonly holds: boolean;
}
export interface ComparisonDocument {
  readonly confidence: number;
  readonly correction: string;
  readonly comparisons: readonly PairedComparison[];
  readonly gates: readonly GateResult[];
}
