"""Parts of an attention, however its keys are divided, merge into the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sglc.backend import partial_softmax
from sglc.backend.partial_softmax import Part, Scores, Scoring, merge, minus_infinity

CPU = torch.device("cpu")
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-5, torch.bfloat16: 0.05}
SCORINGS = [Scoring(0.5), Scoring(0.5, softcap=2.0)]


@pytest.fixture(params=[partial_softmax.SCORE_BYTES, 3000, 1], ids=["whole", "blocks", "rows"])
def _score_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all scores fit, or some of them, or none."""
    monkeypatch.setattr(partial_softmax, "SCORE_BYTES", request.param)


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def definition(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scoring: Scoring, hidden: torch.Tensor | None = None
) -> Part:
    """Return outputs and the logarithms, to the base 2, of the sums of exponentials, in float64."""
    q, k, v = q.double(), k.double(), v.double()
    scores = q @ k.transpose(1, 2) * scoring.scaling
    if scoring.softcap is not None:
        scores = torch.tanh(scores / scoring.softcap) * scoring.softcap
    if hidden is not None:
        scores[..., scores.shape[-1] - hidden.shape[-1] :].masked_fill_(hidden, -torch.inf)
    return scores.softmax(-1) @ v, scores.logsumexp(-1) / math.log(2)


def assert_close(found: Part, wanted: Part, dtype: torch.dtype) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.usefixtures("_score_bytes")
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("scoring", SCORINGS, ids=["plain", "capped"])
@pytest.mark.parametrize("queries", [1, 70])
def test_whole_and_part_are_what_they_are_defined_to_be(dtype: torch.dtype, scoring: Scoring, queries: int) -> None:
    """Keys are dense, or a stretch of a pool; some are hidden from all queries alike, or from each other ones."""
    scores = Scores(CPU)
    q, pool = random(3, queries, 8, dtype=dtype), random(2, 3, 90, 8, seed=1, dtype=dtype)
    stretch = pool[:, :, 20:60]
    some = random(3, queries, 11, seed=2) > 0.5
    for hidden in (None, some, some[:1], some[:, :1]):
        for k, v in (stretch, stretch.contiguous()):
            wanted = definition(q, k, v, scoring, hidden)
            added = None if hidden is None else minus_infinity(hidden)
            part = scores.part(q, k, v, scoring, added)
            assert part[0].dtype == part[1].dtype == partial_softmax.accumulation_type(dtype)
            assert_close(part, wanted, dtype)
            whole = scores.whole(q, k, v, scoring, added)
            assert whole.dtype == dtype
            torch.testing.assert_close(whole.double(), wanted[0], rtol=0, atol=TOLERANCE[dtype])


def test_values_may_be_wider_or_narrower_than_keys() -> None:
    q, k, v = random(2, 5, 4), random(2, 9, 4, seed=1), random(2, 9, 12, seed=2)
    assert_close(Scores(CPU).part(q, k, v, Scoring(1.0)), definition(q, k, v, Scoring(1.0)), torch.float64)
    assert Scores(CPU).whole(q, k, v, Scoring(1.0)).shape == (2, 5, 12)


def test_results_outlive_the_memory_that_scores_are_kept_in() -> None:
    scores, q, k = Scores(CPU), random(2, 5, 4), random(2, 9, 4, seed=1)
    part, whole = scores.part(q, k, k, Scoring(1.0)), scores.whole(q, k, k, Scoring(1.0))
    before = [x.clone() for x in (*part, whole)]
    scores.part(random(2, 5, 4, seed=2), random(2, 30, 4, seed=3), random(2, 30, 4, seed=4), Scoring(1.0))
    assert all(map(torch.equal, (*part, whole), before))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_any_division_of_the_keys_merges_into_the_whole(seed: int, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(seed)
    scoring, scale = SCORINGS[seed % 2], (1, 10)[seed // 2 % 2]  # of scores so far apart that a part weighs nothing
    q, k, v = (
        scale * random(2, 5, 8, dtype=dtype),
        random(2, 60, 8, seed=1, dtype=dtype),
        random(2, 60, 8, seed=2, dtype=dtype),
    )
    order = torch.from_numpy(rng.permutation(60))
    cuts = np.unique(rng.integers(1, 60, size=int(rng.integers(1, 6)))).tolist()
    parts = [Scores(CPU).part(q, k[:, at], v[:, at], scoring) for at in order.tensor_split(cuts)]
    if seed % 3:
        parts.insert(0, nothing_like(parts[0]))
    merged = parts[0]
    for part in parts[1:]:
        merged = merge(merged, part)
    assert_close(merged, definition(q, k, v, scoring), dtype)


def nothing_like(part: Part) -> Part:
    """Return the part of the same queries over no keys."""
    return torch.zeros_like(part[0]), torch.full_like(part[1], -torch.inf)


def test_merging_keeps_what_is_alone_and_writes_over_the_first() -> None:
    part = Scores(CPU).part(random(2, 5, 8), random(2, 9, 8, seed=1), random(2, 9, 8, seed=2), Scoring(1.0))
    empty = nothing_like(part)
    merged = merge(empty, part)
    assert merged[0] is empty[0] and merged[1] is empty[1]
    assert_close(merged, part, torch.float64)
    assert_close(merge(merged, nothing_like(part)), part, torch.float64)
