"""Small random Hugging Face checkpoints, saved to a folder: weights, config.json and generation_config.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PretrainedConfig

VOCAB = 128
_SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.3,  # so that logits differ clearly
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
_GEMMA: dict[str, Any] = {**_SMALL, "head_dim": 8, "query_pre_attn_scalar": 8}
_WINDOWS = ["sliding_attention", "full_attention"]
_FULL_HEADS = {key: value for key, value in _SMALL.items() if key != "num_key_value_heads"}
_OLD: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

SUPPORTED: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", _SMALL),
    "llama3-rope": (
        "LlamaConfig",
        _SMALL
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 1e4,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "yarn-rope": (
        "LlamaConfig",
        _SMALL
        | {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 1024,
            }
        },
    ),
    "mistral": ("MistralConfig", _SMALL | {"sliding_window": 13}),
    "qwen2": ("Qwen2Config", _SMALL),
    "qwen3": ("Qwen3Config", _SMALL | {"head_dim": 16}),
    "gemma": ("GemmaConfig", _SMALL | {"head_dim": 16, "num_key_value_heads": 1}),
    "gemma2": (
        "Gemma2Config",
        _GEMMA
        | {
            "sliding_window": 11,
            "layer_types": _WINDOWS,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "gemma3": ("Gemma3TextConfig", _GEMMA | {"sliding_window": 11, "layer_types": _WINDOWS}),
    "gpt2": ("GPT2Config", _OLD | {"n_positions": 1024, "scale_attn_by_inverse_layer_idx": True}),
    "gpt-neox": ("GPTNeoXConfig", _FULL_HEADS),
    "phi3": ("Phi3Config", _SMALL),
    "opt": (
        "OPTConfig",
        _OLD | {"ffn_dim": 48, "max_position_embeddings": 1024, "word_embed_proj_dim": 32, "init_std": 0.3},
    ),
}
"""Families that run on our attention: name → (config class, settings)."""

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "bloom": ("BloomConfig", {"vocab_size": VOCAB, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "falcon": ("FalconConfig", _OLD | {"max_position_embeddings": 1024}),
    "gptj": ("GPTJConfig", {"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    "gpt-oss": ("GptOssConfig", _SMALL | {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1}),
    "mamba": ("MambaConfig", {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2}),
}
"""Families that must be refused: all but gpt-oss, whose attention has sinks, ignore the attention interface."""


def save_checkpoint(
    family: str,
    folder: Path,
    *,
    dtype: str = "float64",
    seed: int = 0,
    eos: int | list[int] | None = None,
    **settings: Any,
) -> Path:
    """Write a random checkpoint of a family, with `settings` laid over its own, and return the folder.

    `eos` goes into generation_config.json. Equal arguments give equal weights.
    """
    name, own = (SUPPORTED | REFUSED)[family]
    make: Callable[..., PretrainedConfig] = getattr(transformers, name)
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        model = AutoModelForCausalLM.from_config(make(**(own | settings)))
    finally:
        torch.random.set_rng_state(state)
    model = model.to(getattr(torch, dtype))
    model.config.dtype = dtype
    if eos is not None:
        model.generation_config.eos_token_id = eos
    model.save_pretrained(folder)
    return folder
