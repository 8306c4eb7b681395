"""A random Llama checkpoint of a size that takes time, for benchmarks of speed."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

_HEAD = 64  # or less, where hidden states are small


def save_llama(folder: Path, hidden: int, layers: int, vocab: int) -> Path:
    """Write a bfloat16 checkpoint and return its folder: three query heads a KV head, an MLP 8/3 as wide."""
    heads = max(3, hidden // _HEAD)
    torch.manual_seed(1234)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 3,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
    )
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    return folder
