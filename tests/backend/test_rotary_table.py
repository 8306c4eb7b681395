"""Angles that are looked up are those that transformers computes, and turn vectors as transformers does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from sglc.backend.rotary_table import RotaryTable, rotate

CPU = torch.device("cpu")
DTYPES = [torch.float64, torch.float32, torch.bfloat16]
LONGEST = 5000
ROPES: dict[str, dict[str, Any]] = {
    "default": {},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 1000,
    },
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 1250},
    "longrope": {
        "short_factor": [1.0 + i for i in range(8)],
        "long_factor": [3.0 + i for i in range(8)],
        "original_max_position_embeddings": LONGEST,
        "factor": 2.0,
    },
}


def embedding(rope: str) -> LlamaRotaryEmbedding:
    """Return transformers' module for heads of 16."""
    parameters = {"rope_type": rope, "rope_theta": 1e4, **ROPES[rope]}
    longest = 2 * LONGEST if rope == "longrope" else LONGEST
    return LlamaRotaryEmbedding(
        LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=longest, rope_parameters=parameters)
    )


def turned_by_transformers(module: LlamaRotaryEmbedding, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    cos, sin = module(x, positions[None])
    turned: torch.Tensor = apply_rotary_pos_emb(x[None], x[None], cos, sin, unsqueeze_dim=2)[0][0]
    return turned


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rope", ROPES)
def test_every_position_is_turned_as_by_transformers_to_the_last_bit(rope: str, dtype: torch.dtype) -> None:
    """The table grows as later positions come, and stays right for those that were there."""
    module = embedding(rope)
    table = RotaryTable(embedding(rope), dtype, CPU, LONGEST)
    generator = torch.Generator().manual_seed(0)
    for length in (1, 3, 1024, 1025, 2500, LONGEST):
        positions = torch.randperm(length, generator=generator)
        x = torch.randn(length, 2, 16, generator=generator).to(dtype)
        wanted = turned_by_transformers(module, x, positions)
        found = rotate(x, *table.at(positions, length - 1))
        assert found is x and found.dtype == dtype
        assert torch.equal(found, wanted)


def test_positions_may_repeat_and_come_in_any_order() -> None:
    module, table = embedding("default"), RotaryTable(embedding("default"), torch.float32, CPU, LONGEST)
    positions = torch.tensor([7, 0, 7, 4999, 3])
    x = torch.randn(5, 2, 16, generator=torch.Generator().manual_seed(0))
    wanted = turned_by_transformers(module, x, positions)
    assert torch.equal(rotate(x, *table.at(positions, 4999)), wanted)


def test_a_view_of_a_wider_tensor_is_turned_in_place() -> None:
    module, table = embedding("default"), RotaryTable(embedding("default"), torch.float32, CPU, LONGEST)
    wide = torch.randn(6, 5, 16, generator=torch.Generator().manual_seed(0))
    positions, before = torch.arange(6), wide.clone()
    rotate(wide[:, :3], *table.at(positions, 5))
    assert torch.equal(wide[:, :3], turned_by_transformers(module, before[:, :3], positions))
    assert torch.equal(wide[:, 3:], before[:, 3:])


def test_a_table_grows_no_further_than_the_model_s_longest_sequence() -> None:
    """Beyond it longrope's module would turn all positions by other angles."""
    table = RotaryTable(embedding("longrope"), torch.float32, CPU, LONGEST)
    table.at(torch.tensor([LONGEST - 1]), LONGEST - 1)
    fresh = RotaryTable(embedding("longrope"), torch.float32, CPU, LONGEST)
    first = torch.tensor([5])
    assert all(map(torch.equal, table.at(first, 5), fresh.at(first, 5)))
