"""Reading prompts, decoding and quality with llama.cpp (llama-cpp-python, built for this machine's processor): the peer
of bench/decode.ts and bench/quality.ts.

    python llamacpp_decode.py FILE.gguf[,FILE.gguf...] ROWS PROMPT NEW READ THREADS [IDS.json WINDOW]

IDS.json: token ids whose perplexity is computed in windows of WINDOW. Medians of three turns.
"""

import ctypes
import json
import math
import os
import random
import sys
import time

import llama_cpp as api

paths, rows, prompt, new, read, threads, *quality = sys.argv[1:]
prompt, new, read, threads = map(int, (prompt, new, read, threads))
random.seed(0)
api.llama_backend_init()
silent = api.llama_log_callback(lambda level, text, data: None)
api.llama_log_set(silent, ctypes.c_void_p(0))
print("llama.cpp", api.__version__, api.llama_print_system_info().decode().strip())


def median(work, turns=3):
    return sorted(work() for _ in range(turns))[turns // 2]


class Context:
    def __init__(self, model, length, rows):
        params = api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = length, 2048, 512, rows
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = True
        self.native = api.llama_init_from_model(model, params)
        self.batch = api.llama_batch_init(2048, 0, rows)

    def clear(self):
        api.llama_memory_clear(api.llama_get_memory(self.native), True)

    def decode(self, entries):
        """entries: (token, position, row, wants logits)"""
        for at, (token, position, row, wanted) in enumerate(entries):
            self.batch.token[at], self.batch.pos[at], self.batch.logits[at] = token, position, wanted
            self.batch.n_seq_id[at], self.batch.seq_id[at][0] = 1, row
        self.batch.n_tokens = len(entries)
        if api.llama_decode(self.native, self.batch) != 0:
            raise RuntimeError("llama_decode failed")

    def free(self):
        api.llama_batch_free(self.batch)
        api.llama_free(self.native)


def ids(count):
    return [random.randrange(1000, 48000) for _ in range(count)]


def best(context, at, vocabulary):
    logits = api.llama_get_logits_ith(context.native, at)
    return max(range(0, vocabulary, 4096), key=lambda i: logits[i])  # touching the logits; the token itself is of no matter


def reading(model):
    context = Context(model, 2048, 1)

    def once():
        context.clear()
        tokens = ids(read)
        start = time.perf_counter()
        context.decode([(t, p, 0, p == read - 1) for p, t in enumerate(tokens)])
        return read / (time.perf_counter() - start)

    lengths = [60 + (index * 53) % 260 for index in range(12)]

    def ragged():
        prompts = [ids(length) for length in lengths]
        start = time.perf_counter()
        for tokens in prompts:
            context.clear()
            context.decode([(t, p, 0, p == len(tokens) - 1) for p, t in enumerate(tokens)])
        return sum(lengths) / (time.perf_counter() - start)

    once()
    print(f"  read {read}: {median(once):.0f} tokens/s")
    print(f"  read 12 ragged prompts: {median(ragged):.0f} tokens/s")
    context.free()


def decoding(model, vocabulary, count):
    context = Context(model, count * (prompt + new + 8), count)

    def once():
        context.clear()
        for row in range(count):
            context.decode([(t, p, row, p == prompt - 1) for p, t in enumerate(ids(prompt))])
        start = time.perf_counter()
        for step in range(new):
            context.decode([(1000 + row * 31 + step, prompt + step, row, True) for row in range(count)])
            for row in range(count):
                best(context, row, vocabulary)
        return count * new / (time.perf_counter() - start)

    print(f"  decode {count} rows: {median(once):.0f} tokens/s")
    context.free()


def perplexity(model, vocabulary, tokens, window):
    import numpy

    context = Context(model, window, 1)
    total, counted, argmax = 0.0, 0, []
    for start in range(0, len(tokens) - 1, window):
        piece = tokens[start : start + window]
        context.clear()
        context.decode([(t, p, 0, True) for p, t in enumerate(piece)])
        for at in range(len(piece) - 1):
            logits = numpy.ctypeslib.as_array(api.llama_get_logits_ith(context.native, at), (vocabulary,)).astype(numpy.float64)
            top = logits.max()
            total += top + math.log(numpy.exp(logits - top).sum()) - logits[piece[at + 1]]
            argmax.append(int(logits.argmax()))
            counted += 1
    context.free()
    return math.exp(total / counted), argmax


for path in paths.split(","):
    print(f"llama.cpp, {os.path.basename(path)}:")
    params = api.llama_model_default_params()
    params.n_gpu_layers = 0
    model = api.llama_model_load_from_file(path.encode(), params)
    vocabulary = api.llama_vocab_n_tokens(api.llama_model_get_vocab(model))
    if quality:
        document = json.load(open(quality[0]))
        value, argmax = perplexity(model, vocabulary, document["tokens"], int(quality[1]))
        same = sum(a == b for a, b in zip(argmax, document["best"])) / len(argmax)
        print(f"  perplexity {value:.3f}, argmax as fp32 {100 * same:.1f} %")
    else:
        reading(model)
        for count in map(int, rows.split(",")):
            decoding(model, vocabulary, count)
    api.llama_model_free(model)
