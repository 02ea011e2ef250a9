// From tokenised rows to micro-batches: which rows are trained on together in which optimiser step, and how a
// micro-batch lies in memory. Pure: the whole plan of a run is known before it starts, so a resume needs only a
// position in it.
//
//   packing: rows fill sequences of max_length in order          [aaaabbb][ccccccdd][eee]
//   layout:  attention costs slots x length², so a micro-batch   aaaabbb ccccccdd   ->   cccccc
//            is laid out in slots as short as its rows allow;                            aaaadd
//            a row never sees another (block-diagonal mask,                              bbb...
//            positions restart), so where it lies changes nothing

import type { Steadiness } from './steady.ts';

export interface TrainingRow {
  readonly id: string;
  readonly tokens: readonly number[];
  /** Labels are the tokens from here on; the first token of a row is never one. */
  readonly labelsFrom: number;
}

export interface PlanOptions {
  readonly epochs: number;
  /** Above 0: this many optimiser steps, whatever `epochs` says. */
  readonly maxSteps: number;
  /** Rows of a micro-batch, or packed sequences when packing. */
  readonly batchSize: number;
  readonly accumulation: number;
  /** Fill sequences of this many tokens with rows; null: a row is a sequence. */
  readonly packTo: number | null;
  /** The order of an epoch, as indices of rows. */
  readonly order: (epoch: number) => readonly number[];
}

/** One optimiser step: its micro-batches, each a list of row indices. */
export interface PlannedStep {
  readonly epoch: number;
  readonly microBatches: readonly (readonly number[])[];
  /** Supervised tokens of the whole accumulation window: what the loss is averaged over. */
  readonly labelTokens: number;
}

/** All optimiser steps of a run. The last window of an epoch may be short; it is stepped with its own count. */
export const planSteps = (
  rows: readonly TrainingRow[],
  options: PlanOptions,
): readonly PlannedStep[] => {
  const steps: PlannedStep[] = [];
  const enough = (): boolean => options.maxSteps > 0 && steps.length >= options.maxSteps;
  const fraction = options.maxSteps > 0 ? Infinity : options.epochs;
  for (let epoch = 0; epoch < fraction && !enough(); epoch++) {
    const sequences = sequencesOf(options.order(epoch), rows, options.packTo);
    const batches = chunks(sequences, options.batchSize).map((batch) => batch.flat());
    const windows = chunks(batches, options.accumulation);
    // A fractional last epoch ends early, as TrainingArguments.num_train_epochs allows.
    const taken = Math.min(windows.length, Math.ceil(windows.length * (fraction - epoch)));
    for (const microBatches of windows.slice(0, taken)) {
      if (enough()) break;
      steps.push({ epoch, microBatches, labelTokens: count(microBatches.flat(), rows) });
    }
    if (windows.length === 0) break;
  }
  return steps;
};

const count = (indices: readonly number[], rows: readonly TrainingRow[]): number =>
  indices.reduce((sum, index) => sum + labelCount(rowAt(rows, index)), 0);

/** Supervised positions of a row. */
export const labelCount = (row: TrainingRow): number =>
  Math.max(0, row.tokens.length - Math.max(1, row.labelsFrom));

const rowAt = (rows: readonly TrainingRow[], index: number): TrainingRow => {
  const row = rows[index];
  if (row === undefined) throw new RangeError(`row ${index} of ${rows.length}`);
  return row;
};

const sequencesOf = (
  order: readonly number[],
  rows: readonly TrainingRow[],
  packTo: number | null,
): readonly (readonly number[])[] => {
  if (packTo === null) return order.map((index) => [index]);
  const sequences: number[][] = [];
  let room = 0;
  for (const index of order) {
    const length = rowAt(rows, index).tokens.length;
    const last = sequences.at(-1);
    if (last === undefined || length > room) {
      sequences.push([index]);
      room = packTo - length;
    } else {
      last.push(index);
      room -= length;
    }
  }
  return sequences;
};

const chunks = <T>(items: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );

/** What a graph is fed with. Flat index of a token = slot * length + position in the slot. */
export interface MicroBatch {
  readonly slots: number;
  readonly length: number;
  /** Tokens that belong to rows (the rest is padding at the end of slots). */
  readonly tokens: number;
  /** Longest row: what length-dependent rotary scaling goes by. */
  readonly longest: number;
  /** [slots * length] */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  /** Row number within the micro-batch, -1 on padding. */
  readonly segments: Int32Array;
  /** Flat indices of the positions that predict a supervised token, and that token: [labels] each. */
  readonly predictAt: Int32Array;
  readonly labels: Int32Array;
}

/**
 * Lays rows out in equal slots. `attentionLength` is the sequence length at which attention costs as much as
 * everything else (memory.ts): shorter slots pay when rows are short, fewer and longer ones when they would leave gaps.
 * `slotsFor` may ask for more slots than so many (steady.ts): empty ones.
 */
export const layOut = (
  rows: readonly TrainingRow[],
  attentionLength: number,
  slotsFor: Steadiness['slotsFor'] = (count) => count,
): MicroBatch => {
  const lengths = rows.map((row) => row.tokens.length);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const longest = Math.max(1, ...lengths);
  const costOf = (slots: number, length: number): number =>
    slots * length * (1 + length / attentionLength);
  let best = { length: total, bins: [lengths.map((_, index) => index)], cost: costOf(1, total) };
  for (let slots = 2; slots <= rows.length; slots++) {
    // The shortest slots that hold everything in this many: a little more than an even share.
    let length = Math.max(longest, Math.ceil(total / slots));
    if (costOf(slots, length) >= best.cost) continue;
    let bins = firstFit(lengths, length);
    while (bins.length > slots && costOf(slots, length) < best.cost) {
      length += 1;
      bins = firstFit(lengths, length);
    }
    const cost = costOf(bins.length, length);
    if (bins.length <= slots && cost < best.cost) best = { length, bins, cost };
  }
  const slots = slotsFor(best.bins.length, best.length);
  return fill(rows, best.bins, { slots, length: best.length }, longest);
};

/** First-fit decreasing; equal lengths keep their order, and so do the rows of a slot. */
const firstFit = (lengths: readonly number[], size: number): number[][] => {
  const order = lengths.map((_, index) => index);
  order.sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0) || a - b);
  const bins: { rows: number[]; room: number }[] = [];
  for (const index of order) {
    const length = lengths[index] ?? 0;
    const bin = bins.find(({ room }) => room >= length);
    if (bin === undefined) bins.push({ rows: [index], room: size - length });
    else {
      bin.rows.push(index);
      bin.room -= length;
    }
  }
  return bins.map(({ rows }) => rows.sort((a, b) => a - b));
};

const fill = (
  rows: readonly TrainingRow[],
  bins: readonly (readonly number[])[],
  { slots, length }: Pick<MicroBatch, 'slots' | 'length'>,
  longest: number,
): MicroBatch => {
  const ids = new Int32Array(slots * length);
  const positions = new Int32Array(ids.length);
  const segments = new Int32Array(ids.length).fill(-1);
  const predictAt: number[] = [];
  const labels: number[] = [];
  let tokens = 0;
  for (const [slot, bin] of bins.entries()) {
    let at = slot * length;
    for (const index of bin) {
      const row = rowAt(rows, index);
      for (const [position, token] of row.tokens.entries()) {
        ids[at + position] = token;
        positions[at + position] = position;
        segments[at + position] = index;
        if (position >= Math.max(1, row.labelsFrom)) {
          predictAt.push(at + position - 1);
          labels.push(token);
        }
      }
      at += row.tokens.length;
      tokens += row.tokens.length;
    }
  }
  return {
    slots,
    length,
    tokens,
    longest,
    ids,
    positions,
    segments,
    predictAt: Int32Array.from(predictAt),
    labels: Int32Array.from(labels),
  };
};
