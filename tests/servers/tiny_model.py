"""Writes a model of 0.5 MB that llama.cpp serves: the llama architecture with random weights.

It answers nonsense until max_tokens; a logit bias on token 2, the end of text, makes it stop at once.

    python tests/servers/tiny_model.py build/tiny.gguf
"""

import os
import sys

import gguf
import numpy as np

WIDTH, BLOCKS, FEED_FORWARD, HEADS, CONTEXT = 64, 2, 128, 4, 2048
# Bytes alone would make half of what it says invalid UTF-8, which llama.cpp holds back.
WORDS = ["\u2581"] + [
    a + b + c for a in ("\u2581", "\u2581s", "t", "w") for b in "aeiou" for c in "bdlmnprst"
]
CHAT_TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def vocabulary() -> tuple[list[bytes], list[float], list[int]]:
    kind = gguf.TokenType
    tokens = [b"<unk>", b"<s>", b"</s>"]
    types = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL]
    for byte in range(256):
        tokens.append(f"<0x{byte:02X}>".encode())
        types.append(kind.BYTE)
    for word in WORDS:
        tokens.append(word.encode())
        types.append(kind.NORMAL)
    scores = [0.0] * (len(tokens) - len(WORDS)) + [-float(n + 1) for n in range(len(WORDS))]
    return tokens, scores, [int(t) for t in types]


def write(path: str) -> None:
    tokens, scores, types = vocabulary()
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("inferwire-tiny")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(BLOCKS)
    w.add_feed_forward_length(FEED_FORWARD)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(WIDTH // HEADS)
    w.add_file_type(0)
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens)
    w.add_token_scores(scores)
    w.add_token_types(types)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    w.add_chat_template(CHAT_TEMPLATE)

    random = np.random.default_rng(20260101)

    def tensor(name: str, *shape: int) -> None:
        if len(shape) == 1:
            w.add_tensor(name, np.ones(shape, np.float32))
        else:
            w.add_tensor(name, random.normal(0, 0.05, shape).astype(np.float32))

    tensor("token_embd.weight", len(tokens), WIDTH)
    tensor("output_norm.weight", WIDTH)
    tensor("output.weight", len(tokens), WIDTH)
    for n in range(BLOCKS):
        tensor(f"blk.{n}.attn_norm.weight", WIDTH)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{n}.{part}.weight", WIDTH, WIDTH)
        tensor(f"blk.{n}.ffn_norm.weight", WIDTH)
        tensor(f"blk.{n}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        tensor(f"blk.{n}.ffn_up.weight", FEED_FORWARD, WIDTH)
        tensor(f"blk.{n}.ffn_down.weight", WIDTH, FEED_FORWARD)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def ensure(path: str) -> str:
    """The model at `path`, written if it is not there; others may do the same at the same time."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        mine = f"{path}.{os.getpid()}"
        write(mine)
        os.replace(mine, path)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tiny_model.py FILE.gguf")
    print(ensure(sys.argv[1]))
