// Where a model's weights lie and in which form the runtime can use them: the contract between checkpoints
// (which find or repack them) and graphs (which point at them). No bytes pass through here.

/** A byte range of a file that the runtime maps. */
export interface FileRange {
  /** Absolute path. */
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}

export type Weight =
  /** Row-major, [out, in] for linear layers (as in safetensors; GPT-2's Conv1D is transposed when repacked). */
  | {
      readonly kind: 'float';
      readonly dtype: 'float32' | 'float16' | 'bfloat16';
      readonly shape: readonly number[];
      readonly data: FileRange;
    }
  /**
   * Block-quantised along `in`, in the layout of ONNX Runtime's MatMulNBits for a weight [N, K]:
   * data uint8 [N, K/blockSize, blockSize*bits/8] (low nibble first), scales float32 [N, K/blockSize],
   * zeroPoints uint8 [N, ceil(K/blockSize*bits/8)] packed likewise; without them the zero is 2^(bits-1).
   * offsets float32 [N, K/blockSize]: added to every value of a block, value = (q - zero) * scale + offset. MatMulNBits
   * has no such input (and its float zero points take a slow path and round): where they are present,
   * y = MatMulNBits(x) + MatMul(sum of x over each block of K [rows, K/blockSize], offsets transposed). GGUF's Q4_1.
   */
  | {
      readonly kind: 'blocks';
      readonly bits: 4 | 8;
      readonly blockSize: number;
      readonly shape: readonly [number, number];
      readonly data: FileRange;
      readonly scales: FileRange;
      readonly zeroPoints: FileRange | null;
      readonly offsets: FileRange | null;
    }
  /** bitsandbytes' 4-bit codes, high nibble first over the row-major flatten; absmax float32 per block. */
  | {
      readonly kind: 'bnb4';
      readonly type: 'nf4' | 'fp4';
      readonly blockSize: number;
      readonly shape: readonly [number, number];
      readonly data: FileRange;
      readonly absmax: FileRange;
    }
  /** Row-wise int8: codes [N, K], int8 or (the same numbers) uint8 around 128; scales float32 [N] (value = q * scale). */
  | {
      readonly kind: 'int8-rows';
      readonly codes: 'int8' | 'uint8';
      readonly shape: readonly [number, number];
      readonly data: FileRange;
      readonly scales: FileRange;
    };

/** All weights of a model by their Hugging Face names (`model.layers.0.self_attn.q_proj.weight`). */
export interface WeightSource {
  readonly names: readonly string[];
  get(name: string): Weight | undefined;
  /** A float32 copy in memory: for small tensors, for tests, and for training from scratch. */
  read(name: string): Float32Array;
}
