"""Passes on programs are fast, whatever a program looks like: their time grows with its size and no faster."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import pytest

from sglc.ir.graph import BlockBuilder, Graph, Value, make_graph
from sglc.ir.sampling import SamplingParams
from sglc.ir.types import Type
from sglc.passes.base import Target
from sglc.passes.pipeline import PIPELINE, optimize
from tests.ir.graphs import nested
from tests.ir.sample_graphs import Writer

LIMIT_MS = 100
PROGRAMS = [each for each in PIPELINE if each.level == "program"]
TARGET = Target(SamplingParams(temperature=0.0), ("answer",))


def everything(rounds: int) -> Graph:
    """Return a program with all that passes look for in each round: 10 operations."""
    essay = Value("essay", Type.TEXT)
    builder = BlockBuilder()
    w = Writer(builder)
    p = w.append(w.empty(), "Rules:\n")
    for i in range(rounds):
        text = builder.emit("concat", (w.const(f"Side {i}: "), essay, w.const("\n")), (Type.TEXT,))[0]
        fork = w.append(p, text, f"Remark {i}:")
        _, answer = w.gen(fork, "answer", f":{i}", max_new_tokens=24)
        w.gen(fork, "again", f"/0.{i}:0", max_new_tokens=24)
        p = w.append(p, w.apply("str.strip", Type.TEXT, answer))
    w.end(p, answer=answer)
    return make_graph("everything", (essay,), builder)


def literals(count: int) -> Graph:
    """Return a program of nothing but constants behind one another."""
    builder = BlockBuilder()
    w = Writer(builder)
    w.end(w.append(w.empty(), *(f"line {i} of a long list\n" for i in range(count))))
    return make_graph("literals", (), builder)


def pieces(count: int) -> Graph:
    """Return a program that puts a text together piece by piece, and looks at it each time."""
    word = Value("word", Type.TEXT)
    builder = BlockBuilder()
    w = Writer(builder)
    text, p = w.const(""), w.empty()
    for i in range(count):
        (text,) = builder.emit("concat", (text, word, w.const(f"{i}")), (Type.TEXT,))
        before, p = p, w.append(p, w.const(f"{i}"))
        builder.emit("since", (before, p), (Type.TEXT,))
    w.end(p, answer=text)
    return make_graph("pieces", (word,), builder)


MAKERS: dict[str, Callable[[int], Graph]] = {
    "everything": lambda size: everything(size // 10),
    "literals": lambda size: literals(size // 2),
    "pieces": lambda size: pieces(size // 4),
    "nested": lambda size: nested(size // 4),
}


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Leave what other tests left behind alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def milliseconds(graph: Graph) -> float:
    """Return the time of all passes on programs, their checks included; the better of two."""
    times = []
    for _ in range(2):
        fresh = Graph(graph.name, graph.arguments, graph.block)
        began = time.process_time()
        optimize(fresh, PROGRAMS, TARGET, None)
        times.append(time.process_time() - began)
    return min(times) * 1e3


@pytest.mark.usefixtures("no_round_trips", "no_collection")
@pytest.mark.parametrize("name", MAKERS)
def test_passes_take_a_tenth_of_a_second(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Together, for 1,000 operations."""
    graph = MAKERS[name](1000)
    taken = milliseconds(graph)
    with capsys.disabled():
        count = sum(1 for _ in graph.ops())
        print(f"\npasses on programs, {name}: {count} operations, {taken:.1f} ms (at most {LIMIT_MS})")
    assert taken < LIMIT_MS


@pytest.mark.usefixtures("no_round_trips", "no_collection")
@pytest.mark.parametrize("name", MAKERS)
def test_time_grows_with_the_size(name: str) -> None:
    """Four times as much of the same takes less than eight times as long."""
    small, large = milliseconds(MAKERS[name](500)), milliseconds(MAKERS[name](2000))
    assert large < 8 * small
