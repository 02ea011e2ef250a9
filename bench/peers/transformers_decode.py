"""Reading prompts and decoding with transformers: the peer of bench/decode.ts.

    python transformers_decode.py FOLDER ROWS PROMPT NEW READ THREADS     (ROWS: 1,32)

FOLDER is the same model in the Hugging Face layout in fp32 (`mesa export --as hf`), run as fp32 and bf16. Ragged prompts are read one by one and as one padded batch; the
faster counts.
"""

import sys
import time

import torch
import transformers

folder, rows, prompt, new, read, threads = sys.argv[1:]
prompt, new, read, threads = map(int, (prompt, new, read, threads))
torch.set_num_threads(threads)
torch.manual_seed(0)


def ids(count, length):
    return torch.randint(1000, 48000, (count, length))


def clock(work, turns=3):
    times = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


@torch.inference_mode()
def measure(dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    print(f"transformers {transformers.__version__}, {dtype}:")

    def forward(tokens, mask=None):
        model(tokens, attention_mask=mask, use_cache=True, logits_to_keep=1)

    one = ids(1, read)
    forward(one)
    print(f"  read {read}: {read / clock(lambda: forward(one)):.0f} tokens/s")
    lengths = [60 + (index * 53) % 260 for index in range(12)]
    ragged = [ids(1, length) for length in lengths]
    batch = torch.zeros(12, max(lengths), dtype=torch.long)
    mask = torch.zeros_like(batch)
    for row, tokens in enumerate(ragged):
        batch[row, -tokens.shape[1] :] = tokens
        mask[row, -tokens.shape[1] :] = 1
    best = min(
        clock(lambda: [forward(tokens) for tokens in ragged]),
        clock(lambda: forward(batch, mask)),
    )
    print(f"  read 12 ragged prompts: {sum(lengths) / best:.0f} tokens/s")
    for count in map(int, rows.split(",")):

        def step(token, cache):
            result = model(token, past_key_values=cache, use_cache=True)
            return result.logits[:, -1].argmax(-1, keepdim=True)

        times = []
        for _ in range(3):
            result = model(ids(count, prompt), use_cache=True, logits_to_keep=1)
            cache, token = result.past_key_values, result.logits[:, -1].argmax(-1, keepdim=True)
            start = time.perf_counter()
            for _ in range(new):
                token = step(token, cache)
            times.append(time.perf_counter() - start)
        print(f"  decode {count} rows: {count * new / sorted(times)[1]:.0f} tokens/s")


for dtype in (torch.float32, torch.bfloat16):
    measure(dtype)
