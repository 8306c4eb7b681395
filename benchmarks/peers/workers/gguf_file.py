"""A Llama checkpoint of Hugging Face's as a GGUF file, the only kind that llama.cpp reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf  # type: ignore[import-not-found]
import numpy as np
from gguf.quants import quantize  # type: ignore[import-not-found]
from gguf.utility import LocalTensor, SafetensorsLocal  # type: ignore[import-not-found]

KINDS = {"bfloat16": gguf.GGMLQuantizationType.BF16, "float32": gguf.GGMLQuantizationType.F32}
"""dtype → the type of matrices in the file. Vectors are float32: llama.cpp wants them so."""


def write(checkpoint: Path, file: Path, dtype: str) -> None:
    """Write the file. It has no tokenizer: prompts are token ids. Raises ValueError for what is not Llama."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "llama" or config["rope_parameters"]["rope_type"] != "default":
        raise ValueError(f"found the model type {config['model_type']!r}; wanted 'llama' without scaled positions")
    writer = gguf.GGUFWriter(file, "llama")
    _describe(writer, config)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, values in _tensors(checkpoint):
        if name.endswith("q_proj.weight"):
            values = _paired(values, config["num_attention_heads"])
        elif name.endswith("k_proj.weight"):
            values = _paired(values, config["num_key_value_heads"])
        kind = KINDS[dtype] if values.ndim > 1 else KINDS["float32"]
        writer.add_tensor(names.get_name(name, (".weight",)), quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, config: dict[str, Any]) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")


def _tensors(checkpoint: Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Yield the checkpoint's tensors, as float32."""
    for file in sorted(checkpoint.glob("*.safetensors")):
        for name, tensor in SafetensorsLocal(file).tensors.items():
            yield name, _as_float32(tensor)


def _as_float32(tensor: LocalTensor) -> np.ndarray[Any, Any]:
    stored: np.ndarray[Any, Any] = tensor.mmap_bytes()
    if tensor.dtype == "BF16":
        return (stored.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(tensor.shape)
    if tensor.dtype == "F32":
        return stored.view(np.float32).reshape(tensor.shape)
    raise ValueError(f"found a tensor of type {tensor.dtype}; wanted BF16 or F32")


def _paired(rows: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Return the rows of a Q or K projection in another order within each head.

    Hugging Face rotates dimension i together with i + half the head, llama.cpp's arch "llama" 2i with 2i + 1.
    """
    return rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)
