"""One LoRA training step with PyTorch + transformers + PEFT, timed: the peer of bench/train-lora.ts.

    python peft_lora.py [--steps 6] [--tokens 512] [--rank 16] [--threads 2]

SmolLM2-135M's shape with random weights, fp32, LoRA on all linear layers, AdamW, clipping, loss on every position.
Prints one JSON object: tokens per second (median over steps, the first two left out) and peak resident bytes.
"""

import argparse
import json
import resource
import statistics
import time

import peft
import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--tokens", type=int, default=512)
parser.add_argument("--rank", type=int, default=16)
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.manual_seed(0)
config = transformers.LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    tie_word_embeddings=True,
    max_position_embeddings=8192,
    rope_theta=100000.0,
)
model = transformers.LlamaForCausalLM(config)
model = peft.get_peft_model(
    model,
    peft.LoraConfig(r=arguments.rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
model.train()
trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=2e-4)
ids = torch.randint(0, config.vocab_size, (1, arguments.tokens))

seconds = []
for _ in range(arguments.steps):
    begin = time.perf_counter()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainable, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seconds.append(time.perf_counter() - begin)

print(
    json.dumps(
        {
            "peer": f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}",
            "tokens_per_second": arguments.tokens / statistics.median(seconds[2:]),
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
    )
)
