"""The attention kernel in C gives what attention is defined to be, whatever the shapes, strides and threads."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from sglc.backend import partial_softmax
from sglc.backend.partial_softmax import Scores, Scoring, minus_infinity
from sglc.kernels.cpu_attention import CpuAttention, cpu_attention, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=f"no attention kernel in C: {missing()}")

BLOCK = 256
"""Keys that the kernel takes at a time."""


@pytest.fixture(params=[1, 2, 3])
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def kernel() -> CpuAttention:
    found = cpu_attention()
    assert found is not None
    return found


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def check(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, hidden: torch.Tensor | None = None) -> None:
    """Compare with float64. Weights are rounded to bfloat16, of 8 bits, before they meet the values."""
    scaling = 2 * q.shape[-1] ** -0.5
    scores = q.double() @ k.double().transpose(1, 2) * scaling
    if hidden is not None:
        scores[..., scores.shape[-1] - hidden.shape[-1] :] += hidden
    out, lse = kernel().part(q, k, v, scaling, hidden)
    torch.testing.assert_close(out.double(), scores.softmax(-1) @ v.double(), rtol=0, atol=0.01)
    torch.testing.assert_close(lse.double(), scores.logsumexp(-1) / math.log(2), rtol=1e-5, atol=1e-5)
    assert torch.equal(kernel().whole(q, k, v, scaling, hidden), out.bfloat16())


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("keys", [1, 2, 15, 16, 17, 64, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize(("items", "rows"), [(1, 1), (1, 7), (5, 6), (2, 100)])
def test_any_number_of_items_rows_and_keys(items: int, rows: int, keys: int) -> None:
    check(random(items, rows, 64, seed=1), random(items, keys, 64, seed=2), random(items, keys, 64, seed=3))


@pytest.mark.parametrize(("dim", "value_dim"), [(32, 32), (64, 96), (96, 64), (128, 128), (256, 32)])
def test_any_dimensions_that_fill_registers(dim: int, value_dim: int) -> None:
    check(random(3, 9, dim, seed=1), random(3, 300, dim, seed=2), random(3, 300, value_dim, seed=3))


@pytest.mark.parametrize("last", [1, 5, 16, 33, 200, BLOCK, BLOCK + 60, 500])
@pytest.mark.parametrize("alike", [(False, False), (True, False), (False, True), (True, True)])
def test_hidden_keys(last: int, alike: tuple[bool, bool]) -> None:
    """They are hidden from all items alike or not, and from all rows; every row sees a key, if only the last."""
    items, rows = (1 if alike[0] else 3), (1 if alike[1] else 8)
    some = torch.rand(items, rows, last, generator=torch.Generator().manual_seed(4)) > 0.4
    some[:, 0] = True
    some[..., -1] = False
    check(random(3, 8, 32, seed=1), random(3, 500, 32, seed=2), random(3, 500, 32, seed=3), minus_infinity(some))


def test_views_of_a_pool() -> None:
    """Keys and queries with strides of their own, and masks that are expanded or transposed."""
    pool, tokens = random(2, 4, 900, 64, seed=1), random(70, 4, 3, 64, seed=2)
    k, v = pool[0, :, 100:800], pool[1, :, 50:750]
    check(tokens[:, :, 1].transpose(0, 1), k, v)
    hidden = minus_infinity(torch.rand(70, 700, generator=torch.Generator().manual_seed(3)) > 0.5)
    hidden[:, -1] = 0
    check(tokens[:, :, 1].transpose(0, 1), k, v, hidden.expand(4, -1, -1))
    check(tokens[:, :, 1].transpose(0, 1), k, v, hidden.T.contiguous().T[None])


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    """To the last bit, so what a batch holds changes no output."""
    q, k, v = random(2, 23, 64, seed=1), random(2, 700, 64, seed=2), random(2, 700, 64, seed=3)
    together = kernel().part(q, k, v, 0.125, None)
    for row in range(23):
        for one, all_rows in zip(kernel().part(q[:, row : row + 1], k, v, 0.125, None), together, strict=True):
            assert torch.equal(one[:, 0], all_rows[:, row])


def test_scores_of_any_size() -> None:
    """Large ones do not overflow, and those far below the greatest count for nothing."""
    q, k, v = random(1, 5, 32, seed=1) * 100, random(1, 600, 32, seed=2) * 10, random(1, 600, 32, seed=3)
    check(q, k, v)


@pytest.mark.parametrize("place", [3, 400])
def test_what_is_not_a_number_stays_so(place: int) -> None:
    for spoiled in range(3):
        inputs = [random(1, 5, 32, seed=1), random(1, 500, 32, seed=2), random(1, 500, 32, seed=3)]
        inputs[spoiled][0, place % inputs[spoiled].shape[1], 4] = torch.nan
        out, _ = kernel().part(inputs[0], inputs[1], inputs[2], 0.2, None)
        if spoiled == 0:
            assert out[0, place % 5].isnan().all() and out.isnan().sum() == 32
        elif spoiled == 1:
            assert out.isnan().all()
        else:
            assert out[..., 4].isnan().all()


def test_who_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    q = random(1, 2, 32, seed=1)
    assert CpuAttention.takes(q, q, q)
    assert not CpuAttention.takes(q.float(), q.float(), q.float())
    assert not CpuAttention.takes(q[..., :24], q[..., :24], q)
    assert not CpuAttention.takes(q, q, q[..., :24])
    assert not CpuAttention.takes(q, q.transpose(1, 2).contiguous().transpose(1, 2), q)
    asked: list[str] = []
    monkeypatch.setattr(CpuAttention, "whole", lambda *_: asked.append("whole"))
    scores = Scores(torch.device("cpu"))
    scores.whole(q, q, q, Scoring(1.0))
    scores.whole(q, q, q, Scoring(1.0, softcap=2.0))
    scores.whole(q.float(), q.float(), q.float(), Scoring(1.0))
    monkeypatch.setattr(partial_softmax, "cpu_attention", lambda: None)
    scores.whole(q, q, q, Scoring(1.0))
    assert asked == ["whole"]
