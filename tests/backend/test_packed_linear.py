"""A projection gives what torch's gives within rounding, whatever its type, with private operations and without."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch.nn.functional import linear

from sglc.backend.packed_linear import Linear, can_pack

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""Of sums of 40 products of about 1."""


@pytest.fixture(params=[True, False], ids=["private", "public"])
def packs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether weights are packed: not where torch has no oneDNN, as it is let to say."""
    if not request.param:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    elif not can_pack(random(8, 8, dtype=torch.bfloat16)):
        pytest.skip("torch packs no weights here")
    return bool(request.param)


def random(*shape: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.usefixtures("packs")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5, 33])
def test_equals_torch_s_own(dtype: torch.dtype, biased: bool, rows: int) -> None:
    weight, x = random(24, 40, dtype=dtype), random(rows, 40, dtype=dtype, seed=1)
    bias = random(24, dtype=dtype, seed=2) if biased else None
    wanted = linear(x.double(), weight.double(), None if bias is None else bias.double())
    for pack in (True, False):
        found = Linear(weight, bias, pack=pack)(x)
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.usefixtures("packs")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("biased", [(False, False, False), (True, True, True), (True, False, True)])
def test_fused_projections_lie_one_behind_the_other(dtype: torch.dtype, biased: Sequence[bool]) -> None:
    parts = [torch.nn.Linear(40, 8 * (i + 1), bias=bias, dtype=dtype) for i, bias in enumerate(biased)]
    x = random(5, 40, dtype=dtype)
    with torch.inference_mode():
        found, wanted = Linear.fused(parts)(x), torch.cat([part(x) for part in parts], dim=1)
    torch.testing.assert_close(found, wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_bfloat16_and_float32_are_packed(packs: bool) -> None:
    assert can_pack(random(24, 40, dtype=torch.bfloat16)) == packs
    assert can_pack(random(24, 40, dtype=torch.float32)) == packs
    assert not can_pack(random(24, 40, dtype=torch.float64))


def test_more_rows_cost_nothing_only_where_weights_are_packed(packs: bool) -> None:
    weight = random(24, 40, dtype=torch.bfloat16)
    assert (Linear(weight).fewest_rows > 1) == (Linear(weight.float()).fewest_rows > 1) == packs
    assert Linear(weight, pack=False).fewest_rows == Linear(weight.double()).fewest_rows == 1


@pytest.mark.usefixtures("packs")
def test_a_weight_that_is_not_to_be_packed_is_used_as_it_lies() -> None:
    weight, x = random(24, 40, dtype=torch.bfloat16), random(1, 40, dtype=torch.bfloat16)
    projection = Linear(weight, pack=False)
    weight.zero_()
    assert not projection(x).any()
