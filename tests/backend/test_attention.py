"""The attention of a step equals its definition, whatever the rows share and however their slots lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import get_args

import numpy as np
import pytest
import torch

from sglc.backend import partial_softmax
from sglc.backend.attention import LayerMemory, StepAttention
from sglc.backend.attention_plan import Copies, Limits, Piece, Rectangle, plan_attention
from sglc.backend.partial_softmax import Scores, Scoring
from sglc.backend.step import Ints
from sglc.backend.work_list import Blocks
from tests.dense_attention import TOLERANCE, RowWork, dense_attention, make_step

CPU = torch.device("cpu")
SEEDS = range(3000 if os.environ.get("SGLC_TEST_FULL") == "1" else 120)
SLOTS = 8000
LIMITS = Limits()


@dataclass(frozen=True)
class Batch:
    """Rows, and all that attention over them depends on."""

    rows: Sequence[RowWork]
    heads: tuple[int, int] = (6, 2)  # of queries, of keys
    dims: tuple[int, int] = (8, 8)  # of keys, of values
    dtype: torch.dtype = torch.float64
    window: int | None = None
    softcap: float | None = None
    limits: Limits = LIMITS
    room: int = 4000  # positions of copies
    score_bytes: int = partial_softmax.SCORE_BYTES


def random_batch(seed: int) -> Batch:
    """Return rows that branch off earlier ones at random places, and random settings."""
    rng = np.random.default_rng(seed)
    scattered, most = rng.random() < 0.5, int(rng.choice([1, 1, 40, 120]))
    slots = rng.permutation(np.arange(1, SLOTS)) if scattered else np.arange(1, SLOTS)
    numbers = rng.permutation(100) if rng.random() < 0.7 else None
    rows: list[RowWork] = []
    for place in range(int(rng.integers(1, 14))):
        new = int(rng.integers(1, most + 1)) if rng.random() < 0.7 else 1
        own = new + int(rng.integers(0, 2) * rng.integers(0, 200))
        prefix: Ints = np.zeros(0, dtype=np.int64)
        if rows and rng.random() < 0.8:
            parent = rows[int(rng.integers(len(rows)))].table
            prefix = parent[: [len(parent), rng.integers(0, len(parent) + 1)][rng.integers(2)]]
        table, slots = np.concatenate([prefix, slots[:own]]), slots[own:]
        rows.append(RowWork(table, new, None if numbers is None else int(numbers[place])))
    limits = [LIMITS, Limits(positions=150, saved=64, join=40), Limits(positions=30, saved=100, join=0)]
    return Batch(
        rows,
        heads=[(6, 2), (4, 4), (5, 1)][rng.integers(3)],
        dims=[(8, 8), (8, 8), (16, 8), (4, 12)][rng.integers(4)],
        dtype=[torch.float64, torch.float64, torch.float32, torch.bfloat16][rng.integers(4)],
        window=[None, None, None, 1, 2, 7, 100, 256, 300][rng.integers(9)],
        softcap=[None, None, 2.0][rng.integers(3)],
        limits=limits[rng.integers(3)],
        room=[4000, 4000, 200, 0][rng.integers(4)],
        score_bytes=[partial_softmax.SCORE_BYTES, 4000][rng.integers(2)],
    )


def long_prompts(window: int | None = None) -> Batch:
    """Return two prompts of many tokens, one in slots that are scattered."""
    rng = np.random.default_rng(0)
    slots = [1 + np.arange(700), 1001 + rng.permutation(1300)]
    return Batch(
        [RowWork(table, len(table) - 100) for table in slots],
        heads=(2, 1),
        window=window,
        limits=Limits(positions=400),
    )


def branches(numbered: bool) -> Batch:
    """Return rows that share at two levels."""
    trunk, left, right = (np.arange(s, s + n) for s, n in ((1, 500), (600, 300), (1000, 300)))
    tables = [np.concatenate([trunk, branch, [2000 + i]]) for i, branch in enumerate([left] * 3 + [right] * 4)]
    return Batch([RowWork(table, 1, place if numbered else None) for place, table in enumerate(tables)])


def check(batch: Batch) -> None:
    """Compare with the definition over a pool that is NaN wherever no row has written."""
    (heads, kv_heads), (key_dim, value_dim) = batch.heads, batch.dims
    generator = torch.Generator().manual_seed(1)
    step = make_step(batch.rows)
    used = torch.from_numpy(np.unique(np.concatenate(step.tables)))
    keys = torch.full((kv_heads, SLOTS, key_dim), torch.nan, dtype=batch.dtype)
    values = torch.full((kv_heads, SLOTS, value_dim), torch.nan, dtype=batch.dtype)
    for pool in (keys, values):
        pool[:, used] = torch.randn(kv_heads, len(used), pool.shape[-1], generator=generator).to(batch.dtype)
    q = torch.randn(len(step.slots), heads, key_dim, generator=generator).to(batch.dtype)
    new = torch.from_numpy(step.slots)
    k, v = keys[:, new].transpose(0, 1), values[:, new].transpose(0, 1)
    scoring = Scoring(2 * key_dim**-0.5, batch.softcap)
    attention = StepAttention(step, batch.limits, {batch.window: Copies(CPU, batch.room)}, Scores(CPU), CPU)
    found = attention.attend(q, k, v, LayerMemory(keys, values), scoring, batch.window)

    wanted = []
    for row, queries in zip(batch.rows, q.split(step.lengths.tolist()), strict=True):
        k, v = (pool[:, torch.from_numpy(row.table)].transpose(0, 1) for pool in (keys, values))
        wanted.append(dense_attention(queries, k, v, scoring, batch.window))
    assert found.dtype == batch.dtype
    torch.testing.assert_close(found.double(), torch.cat(wanted), rtol=0, atol=TOLERANCE[batch.dtype])


def pieces_of(batch: Batch) -> list[Piece]:
    """Return all that attention over a batch consists of."""
    plan = plan_attention(make_step(batch.rows), batch.limits, batch.window, Copies(CPU, batch.room), CPU)
    return [*plan.alone, *plan.first, *plan.more]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_ragged_batches(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = random_batch(seed)
    monkeypatch.setattr(partial_softmax, "SCORE_BYTES", batch.score_bytes)
    check(batch)


@pytest.mark.parametrize("seed", range(30))
def test_random_ragged_batches_that_a_kernel_may_serve(seed: int) -> None:
    check(replace(random_batch(seed), dims=(32, 64), dtype=torch.bfloat16, softcap=None))


@pytest.mark.parametrize("window", [None, 30, 500])
def test_long_prompts(window: int | None) -> None:
    check(long_prompts(window))


def test_the_batches_above_need_every_kind_of_piece() -> None:
    """Each kind occurs, and each way in which its fields say what it is."""
    found: set[str] = set()
    for batch in [*map(random_batch, SEEDS), long_prompts(), long_prompts(30), branches(True)]:
        for piece in pieces_of(batch):
            kind = type(piece).__name__
            found |= {f"{kind}.{field.name}: {type(getattr(piece, field.name)).__name__}" for field in fields(piece)}
    wanted: dict[str, tuple[type, ...]] = {
        "Causal.keys": (slice, torch.Tensor),
        "Causal.window": (int, type(None)),
        "Rectangle.queries": (slice, torch.Tensor),
        "Rectangle.keys": (slice, torch.Tensor),
        "Suffix.queries": (slice, torch.Tensor),
        "Suffix.hidden": (torch.Tensor, type(None)),
        "Shared.queries": (slice, torch.Tensor),
        "Shared.answers": (torch.Tensor, type(None)),
        "Shared.hidden": (torch.Tensor, type(None)),
        "Blocks.owners": (torch.Tensor, type(None)),
        "Blocks.keys": (slice, torch.Tensor),
        "Blocks.lengths": (torch.Tensor, type(None)),
    }
    assert found >= {f"{field}: {kind.__name__}" for field, kinds in wanted.items() for kind in kinds}
    assert {name.partition(".")[0] for name in found} == {kind.__name__ for kind in get_args(Piece)}


def test_rows_of_unequal_length_meet_in_a_window() -> None:
    """A row that sees all its positions shares a run with one whose window has left the run's beginning."""
    long = np.arange(1, 251)
    for new in (1, 2):
        short = np.concatenate([long[:190], [300, 301][:new]])
        rows = [RowWork(long, 1, 0), RowWork(short, new, 1), RowWork(np.arange(500, 800), 1, 2)]
        check(Batch(rows, window=200, limits=Limits(saved=64)))


def test_rows_without_a_seat_meet_rows_with_a_window() -> None:
    rows = [RowWork(np.arange(1, 51), 1, 0), RowWork(np.arange(100, 300), 1, 1), RowWork(np.arange(400, 600), 1, 2)]
    check(Batch(rows, window=178, room=0))


@pytest.mark.parametrize("numbered", [False, True])
def test_rows_that_share_at_two_levels(numbered: bool) -> None:
    check(branches(numbered))


def test_each_level_is_read_once() -> None:
    pieces = pieces_of(branches(numbered=False))
    levels = [piece.keys for piece in pieces if isinstance(piece, Rectangle)]
    assert sorted(levels, key=str) == [slice(1, 501), slice(1000, 1300), slice(600, 900)]
    (own,) = (piece for piece in pieces if not isinstance(piece, Rectangle))
    assert isinstance(own, Blocks) and own.width == 1


@pytest.mark.parametrize("numbered", [False, True])
def test_a_decode_step_has_few_pieces_however_many_rows(numbered: bool) -> None:
    steps, rows = 20, 64
    works = []
    for row in range(rows):
        prompt, generated = 1025 + 64 * row + np.arange(64), 5200 + rows * np.arange(steps) + row
        works.append(RowWork(np.concatenate([np.arange(1, 1025), prompt, generated]), 1, row if numbered else None))
    batch = Batch(works, heads=(2, 1), limits=Limits(positions=8192), room=4 * SLOTS)
    assert len(pieces_of(batch)) <= 2
    check(batch)


def test_a_long_row_does_not_pad_the_short_ones() -> None:
    lengths = [128] * 31 + [2048]
    tables = np.split(np.arange(1, 1 + sum(lengths)), np.cumsum(lengths)[:-1])
    read = 0
    for piece in pieces_of(Batch([RowWork(table) for table in tables])):
        assert isinstance(piece, Blocks)
        read += piece.width * len(piece.queries if piece.owners is None else piece.owners)
    assert read == sum(lengths)


@pytest.mark.parametrize(
    ("new", "scattered", "window"), [(1, True, None), (60, False, None), (60, True, None), (60, True, 300)]
)
def test_scratch_memory_does_not_grow_with_what_is_read(
    new: int, scattered: bool, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial_softmax, "SCORE_BYTES", 1 << 16)
    slots = np.random.default_rng(0).permutation(np.arange(1, SLOTS)) if scattered else np.arange(1, SLOTS)
    peaks = []
    for length in (700, 1900):
        rows = [RowWork(slots[place * length : (place + 1) * length], new) for place in range(4)]
        peaks.append(peak_memory(Batch(rows, window=window, limits=Limits(positions=256))))
    assert peaks[1] < 1.1 * peaks[0]


def peak_memory(batch: Batch) -> int:
    """Return the most bytes that attention over a batch holds at once."""
    (heads, kv_heads), (dim, _) = batch.heads, batch.dims
    step = make_step(batch.rows)
    memory = LayerMemory(torch.zeros(kv_heads, SLOTS, dim), torch.zeros(kv_heads, SLOTS, dim))
    q, k = torch.zeros(len(step.slots), heads, dim), torch.zeros(len(step.slots), kv_heads, dim)
    attention = StepAttention(step, batch.limits, {batch.window: Copies(CPU, batch.room)}, Scores(CPU), CPU)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        attention.attend(q, k, k, memory, Scoring(1.0), batch.window)
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    return int(np.cumsum([event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]).max())
