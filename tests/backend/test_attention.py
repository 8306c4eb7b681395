"""The attention of a step equals a dense softmax, whatever the rows share and however their slots lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sglc.backend.attention import SCRATCH_BYTES, StepAttention, scratch_limits
from sglc.backend.attention_plan import Limits, Rectangle, plan_tiles
from sglc.backend.partial_softmax import Scoring, dense, rectangle, triangle
from sglc.backend.shared_prefix import SharedRun, shared_runs
from sglc.backend.step import Ints, Step
from sglc.backend.work_list import Blocks

CPU = torch.device("cpu")
SMALL = Limits(tokens=40, positions=150)
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 3e-2}


@dataclass(frozen=True)
class Shape:
    heads: int = 6
    kv_heads: int = 2
    key_dim: int = 8
    value_dim: int = 8


def make_step(rows: Sequence[tuple[Ints, int]]) -> Step:
    """Return a step of rows (table, number of new tokens)."""
    tables = [np.asarray(table, dtype=np.int64) for table, _ in rows]
    lengths = np.array([length for _, length in rows], dtype=np.int64)
    contexts = np.array([len(table) for table in tables], dtype=np.int64)
    positions = [np.arange(c - n, c) for c, n in zip(contexts, lengths, strict=True)]
    slots = [table[len(table) - n :] for table, n in zip(tables, lengths, strict=True)]
    total = int(lengths.sum())
    return Step(
        token_ids=np.zeros(total, dtype=np.int64),
        positions=np.concatenate(positions),
        slots=np.concatenate(slots),
        lengths=lengths,
        context_lengths=contexts,
        tables=tables,
        logit_rows=np.cumsum(lengths) - 1,
    )


def random_rows(
    rng: np.random.Generator, rows: int, new_tokens: int, scattered: bool
) -> tuple[list[tuple[Ints, int]], int]:
    """Return rows that branch off earlier ones at random places, and the number of slots."""
    size = 6000
    free = list(rng.permutation(np.arange(1, size)) if scattered else np.arange(1, size))
    made: list[tuple[Ints, int]] = []
    for _ in range(rows):
        new = int(rng.integers(1, new_tokens + 1))
        own = new + int(rng.integers(0, 2) * rng.integers(0, 200))
        prefix: Ints = np.zeros(0, dtype=np.int64)
        if made and rng.random() < 0.8:
            parent = made[int(rng.integers(len(made)))][0]
            prefix = parent[: int(rng.integers(0, len(parent) + 1))]
        slots = np.array([free.pop(0) for _ in range(own)], dtype=np.int64)
        made.append((np.concatenate([prefix, slots]), new))
    return made, size


def reference(
    step: Step, q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scoring: Scoring, window: int | None
) -> torch.Tensor:
    """Return the attention of each token by itself, in float64."""
    q, keys, values = q.double(), keys.double(), values.double()
    group = q.shape[0] // keys.shape[0]
    out = torch.empty(q.shape[1], q.shape[0], values.shape[-1], dtype=torch.float64)
    token = 0
    for length, context, table in zip(step.lengths, step.context_lengths, step.tables, strict=True):
        for position in range(context - length, context):
            first = 0 if window is None else max(0, position - window + 1)
            seen = torch.from_numpy(table[first : position + 1])
            k, v = (x[:, seen].repeat_interleave(group, dim=0) for x in (keys, values))
            scores = torch.einsum("hd,hkd->hk", q[:, token], k) * scoring.scaling
            if scoring.softcap is not None:
                scores = torch.tanh(scores / scoring.softcap) * scoring.softcap
            out[token] = torch.einsum("hk,hkd->hd", scores.softmax(-1), v)
            token += 1
    return out


def check(
    rows: Sequence[tuple[Ints, int]],
    size: int,
    *,
    shape: Shape = Shape(),
    dtype: torch.dtype = torch.float64,
    limits: Limits = SMALL,
    window: int | None = None,
    softcap: float | None = None,
) -> None:
    """Compare with the reference over a pool that is NaN wherever no row has written."""
    step = make_step(rows)
    generator = torch.Generator().manual_seed(1)
    q = torch.randn(shape.heads, len(step.token_ids), shape.key_dim, generator=generator).to(dtype)
    keys = torch.full((shape.kv_heads, size, shape.key_dim), torch.nan, dtype=dtype)
    values = torch.full((shape.kv_heads, size, shape.value_dim), torch.nan, dtype=dtype)
    used = torch.from_numpy(np.unique(np.concatenate(step.tables)))
    for pool in (keys, values):
        pool[:, used] = torch.randn(len(pool), len(used), pool.shape[-1], generator=generator).to(dtype)
    scoring = Scoring(0.7, softcap)
    found = StepAttention(step, limits, CPU).attend(q, keys, values, scoring, window)
    wanted = reference(step, q, keys, values, scoring, window)
    assert found.dtype == dtype
    assert (found.double() - wanted).abs().max() <= TOLERANCE[dtype]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scattered", [False, True], ids=["runs", "scattered"])
@pytest.mark.parametrize("new_tokens", [1, 40], ids=["decode", "mixed"])
def test_random_ragged_batches_equal_dense_softmax(seed: int, scattered: bool, new_tokens: int) -> None:
    rng = np.random.default_rng(seed)
    check(*random_rows(rng, int(rng.integers(1, 14)), new_tokens, scattered))


@pytest.mark.parametrize("window", [1, 2, 7, 100, 256, 300])
def test_sliding_window_equals_dense_softmax(window: int) -> None:
    rng = np.random.default_rng(window)
    check(*random_rows(rng, 10, 90, scattered=bool(window % 2)), window=window)
    check(*random_rows(rng, 10, 1, scattered=bool(window % 2)), window=window)


@pytest.mark.parametrize("window", [None, 50])
def test_softcap_and_unequal_head_dims(window: int | None) -> None:
    rng = np.random.default_rng(0)
    check(*random_rows(rng, 8, 30, scattered=True), softcap=2.0, window=window)
    check(*random_rows(rng, 8, 30, scattered=True), shape=Shape(4, 4, 16, 8), window=window)
    check(*random_rows(rng, 8, 30, scattered=True), shape=Shape(5, 1, 4, 12), window=window)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precisions(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    check(*random_rows(rng, 10, 50, scattered=False), dtype=dtype)
    check(*random_rows(rng, 10, 1, scattered=True), dtype=dtype)


def test_rows_that_share_at_two_levels_read_each_level_once() -> None:
    trunk, left, right = (np.arange(s, s + n) for s, n in ((1, 500), (600, 300), (1000, 300)))
    rows = [np.concatenate([trunk, branch, [2000 + i]]) for i, branch in enumerate([left] * 3 + [right] * 4)]
    step = make_step([(row, 1) for row in rows])
    (tile,) = plan_tiles(step, Limits(), None, CPU)
    assert [piece.keys for piece in tile.pieces if isinstance(piece, Rectangle)] == [
        slice(1, 501),
        slice(600, 900),
        slice(1000, 1300),
    ]
    (own,) = [piece for piece in tile.pieces if isinstance(piece, Blocks)]
    assert own.width == 1
    check([(row, 1) for row in rows], 3000)


def test_a_short_common_start_joins_the_longer_runs_below_it() -> None:
    rows = [np.concatenate([[1], np.arange(b, b + 400), [5000 + i]]) for i, b in enumerate([10, 10, 1000, 1000])]
    runs = shared_runs(rows, [0] * 4, [401] * 4)
    assert sorted(runs, key=lambda run: run.rows) == [SharedRun((0, 1), 0, 401), SharedRun((2, 3), 0, 401)]


def test_a_decode_step_has_few_pieces_however_many_rows() -> None:
    base, steps, rows = 1 + 1024 + 64 * 64, 20, 64
    tables = []
    for row in range(rows):
        prompt = 1025 + 64 * row + np.arange(64)
        tables.append((np.concatenate([np.arange(1, 1025), prompt, base + rows * np.arange(steps) + row]), 1))
    (tile,) = plan_tiles(make_step(tables), Limits(tokens=64, positions=8192), None, CPU)
    assert len(tile.pieces) == 2


def test_a_long_row_does_not_pad_the_short_ones() -> None:
    lengths = [128] * 63 + [4096]
    tables = np.split(np.arange(1, 1 + sum(lengths)), np.cumsum(lengths)[:-1])
    (tile,) = plan_tiles(make_step([(table, 1) for table in tables]), Limits(tokens=64, positions=8192), None, CPU)
    blocks = [piece for piece in tile.pieces if isinstance(piece, Blocks)]
    items = [block.queries if block.owners is None else block.owners for block in blocks]
    assert sum(block.width * len(item) for block, item in zip(blocks, items, strict=True)) == sum(lengths)


def test_flash_and_dense_parts_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 3, 20, 8, dtype=torch.float64, generator=generator)
    k, v = torch.randn(2, 2, 50, 8, dtype=torch.float64, generator=generator)
    plain, capped = Scoring(0.3), Scoring(0.3, softcap=1e9)  # a cap so high that it changes nothing but the path
    for found, wanted in zip(rectangle(q, k, v, plain), rectangle(q, k, v, capped), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-7)
    for window in (None, 5):
        for found, wanted in zip(triangle(q, k, v, plain, window), triangle(q, k, v, capped, window), strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-7)
    out, lse = dense(q.flatten(1, 2), k, v, plain)
    scores = q.flatten(1, 2) @ k.transpose(1, 2) * 0.3
    torch.testing.assert_close(lse, scores.logsumexp(-1))
    torch.testing.assert_close(out, scores.softmax(-1) @ v)


def test_scratch_limits_shrink_with_the_model() -> None:
    small = scratch_limits(12, 4, 64, 64, torch.bfloat16)
    large = scratch_limits(128, 8, 128, 128, torch.float64)
    assert small.tokens > large.tokens
    assert large.tokens * 128 * 128 * 8 * 4 <= 64 << 20


@pytest.mark.parametrize(
    ("rows", "softcap", "window"),
    [
        pytest.param([(np.arange(1, 3001), 1500)], None, None, id="prefill"),
        pytest.param([(np.arange(1, 1501), 700)], 30.0, None, id="softcap"),
        pytest.param([(np.arange(1, 3001), 1500)], None, 900, id="window"),
        pytest.param([(np.arange(3000, 0, -1), 1)] * 20, None, None, id="gathered"),
        pytest.param([(np.arange(1 + i, 2000), 1) for i in range(40)], None, None, id="work list"),
    ],
)
def test_scratch_memory_is_bounded(rows: list[tuple[Ints, int]], softcap: float | None, window: int | None) -> None:
    step, heads, kv_heads, dim = make_step(rows), 32, 8, 128
    q = torch.zeros(heads, len(step.token_ids), dim)
    keys = values = torch.zeros(kv_heads, 3001, dim)
    attention = StepAttention(step, scratch_limits(heads, kv_heads, dim, dim, q.dtype), CPU)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        attention.attend(q, keys, values, Scoring(0.1, softcap), window)
    assert profile.profiler is not None
    memory = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = np.cumsum([event.nbytes() for event in sorted(memory, key=lambda event: event.start_ns())])
    output = q.nbytes
    assert output < live.max() < output + SCRATCH_BYTES
