"""Attention alone: rows that generate behind a shared prefix, or none, against a grouped product over dense KV.

The other side is given each row's KV as one dense matrix a KV head, which a paged pool does not have; it reads a shared
prefix once for every row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch

from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.threads import torch_threads
from sglc.backend.kv_store import KvStore
from sglc.backend.partial_softmax import Scoring
from sglc.backend.step import Ints, Step

THREADS = 2
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Shape:
    """The rows, the model's heads, and as many layers as make the caches cold."""

    rows: int = 64
    prefix: int = 1024
    own: int = 56
    steps: int = 16
    heads: int = 12
    kv_heads: int = 4
    dim: int = 64
    layers: int = 12
    dtype: torch.dtype = torch.bfloat16

    @property
    def length(self) -> int:
        """Positions that a row has on average."""
        return self.prefix + self.own + self.steps // 2


QUICK = Shape(rows=8, prefix=128, own=8, steps=4, layers=2)


def run(options: Options) -> Result:
    """Time steps of all layers on both sides in turns, with the prefix shared and not."""
    shape = QUICK if options.quick else Shape()
    runs = options.runs or (1 if options.quick else 5)
    ours: dict[bool, list[float]] = {True: [], False: []}
    grouped: list[float] = []
    with torch_threads(THREADS), torch.inference_mode():
        for number in range(runs):
            for shared in ours:
                ours[shared].append(step_seconds(shape, shared=shared))
            grouped.append(grouped_seconds(shape))
            told = ", ".join(f"{'shared' if shared else 'apart'} {1e3 * ours[shared][-1]:.1f} ms" for shared in ours)
            say(f"run {number + 1} of {runs}: {told}, grouped products {1e3 * grouped[-1]:.1f} ms a step")
    figures: Figures = {
        "shared_speedup": median(grouped) / median(ours[True]),
        "unshared_time": median(ours[False]) / median(grouped),
        "ms_shared": 1e3 * median(ours[True]),
        "ms_unshared": 1e3 * median(ours[False]),
        "ms_grouped": 1e3 * median(grouped),
        "rows": shape.rows,
        "positions": shape.length,
        "layers": shape.layers,
        "runs": runs,
    }
    return Result(figures, {"data": "synthetic", "dtype": "bfloat16", "threads": str(THREADS)})


def step_seconds(shape: Shape, *, shared: bool) -> float:
    """Return the median time of a step behind the first, all layers and the planning together."""
    store = KvStore(CPU)
    first, last = shape.prefix + shape.own, shape.prefix + shape.own + shape.steps
    generator = np.random.default_rng(0)
    size = 1 + shape.prefix + shape.rows * last
    slots = 1 + np.arange(size - 1)
    prefixes = [slots[: shape.prefix]] * shape.rows
    free = slots[shape.prefix :]
    if not shared:
        prefixes = [free[row * shape.prefix : (row + 1) * shape.prefix] for row in range(shape.rows)]
        free = free[shape.rows * shape.prefix :]
    generator.shuffle(free)  # what rows wrote side by side
    own = free[: shape.rows * (last - shape.prefix)].reshape(shape.rows, -1)
    tables = [np.concatenate([prefix, mine]) for prefix, mine in zip(prefixes, own, strict=True)]
    q, k, v = inputs(shape)
    store.allocate(2 * size + 1)  # room for copies of all
    for layer in range(shape.layers):
        store.write(layer, slice(0, 1), k[:1], v[:1])  # makes the layer known
    block = torch.randn(shape.kv_heads, 4096, shape.dim).to(shape.dtype)
    for pool in (side for pair in store.tensors for side in pair):
        for part in pool.split(block.shape[1], dim=1):
            part.copy_(block[:, : part.shape[1]])
    seconds = []
    for length in range(first, last):
        step = make_step(shape, tables, length)
        began = perf_counter()
        attention = store.attention(step)
        written = torch.from_numpy(step.slots)
        for layer in range(shape.layers):
            attention.attend(q, k, v, store.write(layer, written, k, v), Scoring(shape.dim**-0.5))
        seconds.append(perf_counter() - began)
    return median(seconds[1:])


def grouped_seconds(shape: Shape) -> float:
    """Return the median time of the same attention by batched products over dense KV, all layers together."""
    q, _, _ = inputs(shape)
    size = (shape.rows * shape.kv_heads, shape.length, shape.dim)
    layers = [(torch.randn(size).to(shape.dtype), torch.randn(size).to(shape.dtype)) for _ in range(shape.layers)]
    rows = q.view(size[0], -1, shape.dim)

    def once() -> None:
        for keys, values in layers:
            scores = torch.baddbmm(rows.new_empty(1, 1, 1), rows, keys.transpose(1, 2), beta=0, alpha=shape.dim**-0.5)
            torch.bmm(torch.softmax(scores, -1), values)

    return timed(once, shape.steps)


def timed(work: Callable[[], None], times: int) -> float:
    """Return the median time of one call behind the first."""
    seconds = []
    for _ in range(times):
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return median(seconds[1:])


def inputs(shape: Shape) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return queries [rows, heads, dim], keys and values [rows, kv_heads, dim]."""
    generator = torch.Generator().manual_seed(0)
    counts = (shape.heads, shape.kv_heads, shape.kv_heads)
    q, k, v = (torch.randn(shape.rows, n, shape.dim, generator=generator).to(shape.dtype) for n in counts)
    return q, k, v


def make_step(shape: Shape, tables: list[Ints], length: int) -> Step:
    """Return the step in which every row computes the last of its first `length` positions."""
    ones = np.ones(shape.rows, np.int64)
    return Step(
        token_ids=ones,
        positions=ones * (length - 1),
        slots=np.array([table[length - 1] for table in tables]),
        lengths=ones,
        context_lengths=ones * length,
        tables=[table[:length] for table in tables],
        logit_rows=np.arange(shape.rows),
        rows=np.arange(shape.rows),
    )
