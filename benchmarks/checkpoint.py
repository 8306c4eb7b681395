"""Random checkpoints of a size that takes time, for benchmarks of speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PretrainedConfig, Qwen3Config

_HEAD = 64  # or less, where hidden states are small
_POSITIONS = 8192


def save_llama(folder: Path, hidden: int, layers: int, vocab: int) -> Path:
    """Write a bfloat16 checkpoint and return its folder: three query heads a KV head, an MLP 8/3 as wide."""
    return _save(folder, LlamaConfig(**_llama_like(hidden, layers, vocab)))


def save_qwen3(folder: Path, hidden: int, layers: int, vocab: int) -> Path:
    """Write the same as Qwen3: queries and keys are normalized."""
    head = hidden // _heads(hidden)
    return _save(folder, Qwen3Config(**_llama_like(hidden, layers, vocab), head_dim=head))


def save_gpt2(folder: Path, hidden: int, layers: int, vocab: int) -> Path:
    """Write a GPT-2 of as many heads and layers: learned positions, an MLP four times as wide, tied embeddings."""
    config = GPT2Config(
        vocab_size=vocab,
        n_positions=_POSITIONS,
        n_embd=hidden,
        n_layer=layers,
        n_head=_heads(hidden),
        bos_token_id=1,
        eos_token_id=2,
    )
    return _save(folder, config)


def _heads(hidden: int) -> int:
    return max(3, hidden // _HEAD)


def _llama_like(hidden: int, layers: int, vocab: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": hidden * 8 // 3,
        "num_hidden_layers": layers,
        "num_attention_heads": _heads(hidden),
        "num_key_value_heads": _heads(hidden) // 3,
        "max_position_embeddings": _POSITIONS,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _save(folder: Path, config: PretrainedConfig) -> Path:
    torch.manual_seed(1234)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    return folder
