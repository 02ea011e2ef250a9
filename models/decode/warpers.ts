// Changes to logits before a token is chosen, each as transformers does it (generation/logits_process.py); applied
// in its order: repetition penalty, n-grams, minimum length | temperature, top-k, top-p, min-p. All work in place on
// one row; -Infinity means impossible. Nothing here draws at random.

/** Tokens that a row has so far, prompt included. */
export interface TokenHistory {
  readonly ids: Int32Array;
  readonly length: number;
}

/** Divides positive and multiplies negative logits of every token in the history, once per token. */
export const penalizeRepetition = (
  logits: Float32Array,
  history: TokenHistory,
  penalty: number,
): void => {
  const { ids, length } = history;
  const seen = new Set<number>();
  for (let index = 0; index < length; index += 1) {
    const id = ids[index] ?? 0;
    if (seen.has(id)) continue;
    seen.add(id);
    const value = logits[id];
    if (value !== undefined) logits[id] = value < 0 ? value * penalty : value / penalty;
  }
};

/** Forbids every token that would complete an n-gram which the history already has. */
export const blockRepeatedNgrams = (
  logits: Float32Array,
  history: TokenHistory,
  size: number,
): void => {
  const { ids, length } = history;
  const prefix = size - 1;
  if (length < prefix) return;
  const tail = length - prefix;
  for (let start = 0; start + prefix < length; start += 1) {
    let equal = true;
    for (let offset = 0; equal && offset < prefix; offset += 1) {
      equal = ids[start + offset] === ids[tail + offset];
    }
    if (equal) logits[ids[start + prefix] ?? 0] = -Infinity;
  }
};

export const forbid = (logits: Float32Array, tokens: readonly number[]): void => {
  for (const token of tokens) if (token < logits.length) logits[token] = -Infinity;
};

export const applyTemperature = (logits: Float32Array, temperature: number): void => {
  for (let index = 0; index < logits.length; index += 1) {
    logits[index] = (logits[index] ?? 0) / temperature;
  }
};

/** The k-th highest; -Infinity where there are fewer. */
export const kthHighest = (logits: Float32Array, k: number): number => {
  // A min-heap of the k highest so far; its root is the bar. Most tokens fail the first comparison.
  const heap = new Float32Array(k).fill(-Infinity);
  for (let index = 0; index < logits.length; index += 1) {
    const value = logits[index] ?? -Infinity;
    if (value > (heap[0] ?? 0)) replaceRoot(heap, value);
  }
  return heap[0] ?? -Infinity;
};

/** Keeps the k highest, and whatever equals the k-th. */
export const keepTopK = (logits: Float32Array, k: number): void => {
  if (k >= logits.length) return;
  const bar = kthHighest(logits, k);
  for (let index = 0; index < logits.length; index += 1) {
    if ((logits[index] ?? -Infinity) < bar) logits[index] = -Infinity;
  }
};

const replaceRoot = (heap: Float32Array, value: number): void => {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
    const least = heap[child] ?? 0;
    if (least >= value) break;
    heap[at] = least;
    at = child;
  }
  heap[at] = value;
};

export const highest = (logits: Float32Array): number => {
  let best = -Infinity;
  for (let index = 0; index < logits.length; index += 1) {
    const value = logits[index] ?? -Infinity;
    if (value > best) best = value;
  }
  return best;
};

/** exp(logit - highest) for every token, and their sum. */
export const weigh = (logits: Float32Array, out: Float64Array): number => {
  const best = highest(logits);
  let sum = 0;
  for (let index = 0; index < logits.length; index += 1) {
    const value = logits[index] ?? -Infinity;
    const weight = value === -Infinity ? 0 : Math.exp(value - best);
    out[index] = weight;
    sum += weight;
  }
  return sum;
};

/** Classes of tokens by how far their logit lies below the highest; only one class is ever sorted. */
const CLASSES = 2048;
/** Below this distance a weight is under 1e-14 of the highest: one class is enough. */
const REACH = 32;
const classOf = (below: number): number =>
  below >= REACH ? CLASSES - 1 : Math.floor((below / REACH) * (CLASSES - 1));

/**
 * Removes the least likely tokens as long as those removed have at most 1 - p of the probability; the most likely
 * one always stays. Of equal logits the lower id goes first (torch's ascending sort).
 */
export const keepTopP = (logits: Float32Array, p: number, weights: Float64Array): void => {
  const sum = weigh(logits, weights);
  const best = highest(logits);
  const budget = (1 - p) * sum;
  const mass = new Float64Array(CLASSES);
  for (let index = 0; index < logits.length; index += 1) {
    const weight = weights[index] ?? 0;
    if (weight === 0) continue;
    const cls = classOf(best - (logits[index] ?? 0));
    mass[cls] = (mass[cls] ?? 0) + weight;
  }
  let removed = 0;
  let edge = CLASSES - 1;
  while (edge > 0 && removed + (mass[edge] ?? 0) <= budget) {
    removed += mass[edge] ?? 0;
    edge -= 1;
  }
  const atEdge: number[] = [];
  for (let index = 0; index < logits.length; index += 1) {
    const value = logits[index] ?? -Infinity;
    if (value === -Infinity) continue;
    const cls = classOf(best - value);
    if (cls > edge) logits[index] = -Infinity;
    else if (cls === edge) atEdge.push(index);
  }
  atEdge.sort((a, b) => (logits[a] ?? 0) - (logits[b] ?? 0) || a - b);
  // In the highest class the most likely token is the last one: it stays whatever p is.
  const last = edge === 0 ? atEdge.length - 1 : atEdge.length;
  for (let at = 0; at < last; at += 1) {
    const index = atEdge[at] ?? 0;
    removed += weights[index] ?? 0;
    if (removed > budget) break;
    logits[index] = -Infinity;
  }
};

/** Removes tokens that are less than minP times as likely as the most likely one. */
export const keepMinP = (logits: Float32Array, minP: number): void => {
  const bar = highest(logits) + Math.log(minP);
  for (let index = 0; index < logits.length; index += 1) {
    if ((logits[index] ?? -Infinity) < bar) logits[index] = -Infinity;
  }
};
