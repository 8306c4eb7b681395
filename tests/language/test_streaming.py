"""Streams: text comes as it is said, none of it twice, and whoever stops listening stops the work."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import pytest

import sglc
from sglc.errors import UnknownVariable
from tests.asking import assert_withdrawn, watch

State = Any


@sglc.function
def talk(s: State) -> None:
    """Say, generate, choose."""
    s += "hello " + sglc.gen("a", max_tokens=20, ignore_eos=True, stop=["zzz", " END"]) + " then "
    s += sglc.select("b", choices=["x", "y"]) + "!"


@sglc.function
def endless(s: State) -> None:
    """Talk until nobody listens."""
    s += "go" + sglc.gen("a", max_tokens=500_000, ignore_eos=True)


def test_the_pieces_are_the_text(engine: sglc.Engine) -> None:
    wanted = talk.run(seed=3)
    watch(engine, lambda step: time.sleep(0.005))
    state = talk.run(stream=True, seed=3)
    pieces = [*state.text_iter()]
    assert "".join(pieces) == wanted.text() == state.text()
    assert len(pieces) > 3
    assert all(pieces)
    assert pieces[0].startswith("hello ")


def test_one_variable(engine: sglc.Engine) -> None:
    state = talk.stream()
    assert "".join(state.text_iter("a")) == state["a"] == talk.run()["a"]
    assert "".join(state.text_iter("b")) == state["b"]


def test_a_variable_that_never_comes(engine: sglc.Engine) -> None:
    state = talk.run(stream=True)
    with pytest.raises(UnknownVariable, match="found no variable 'z'; variables set so far: 'a', 'b'"):
        [*state.text_iter("z")]


def test_two_readers_of_one_stream(engine: sglc.Engine) -> None:
    state = talk.run(stream=True)
    first, second = state.text_iter(), state.text_iter("a")
    begun = next(first)
    middle = "".join(second)
    assert begun + "".join(first) == state.text()
    assert middle == state["a"]


def test_reading_without_streaming_waits(engine: sglc.Engine) -> None:
    state = talk.run(stream=True)
    assert state["b"] in ("x", "y")
    assert "".join(state.text_iter()) == state.text()


def test_the_whole_text_of_a_stream_is_waited_for(engine: sglc.Engine) -> None:
    assert talk.run(stream=True).text() == talk.run().text()


def test_errors_end_streams(engine: sglc.Engine) -> None:
    @sglc.function
    def broken(s: State) -> None:
        s += "begun " + sglc.gen("a", max_tokens=2)
        s["a"]
        raise ValueError("broken")

    got = []
    with pytest.raises(ValueError, match="broken"):
        got.extend(broken.run(stream=True).text_iter())

    stream = broken.run(stream=True).text_iter()
    assert next(stream).startswith("begun ")
    with pytest.raises(ValueError, match="broken"):
        got.extend(stream)


def test_asynchronous_pieces(engine: sglc.Engine) -> None:
    async def main() -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
        state = talk.run(stream=True)
        pieces = [piece async for piece in state.text_async_iter()]
        state = talk.run(stream=True)
        return pieces, [pair async for pair in state.text_async_iter("a", return_meta_data=True)]

    pieces, pairs = asyncio.run(main())
    wanted = talk.run()
    assert "".join(pieces) == wanted.text()
    assert "".join(piece for piece, _ in pairs) == wanted["a"]
    assert all(isinstance(meta, dict) for _, meta in pairs)


def test_an_abandoned_stream_is_withdrawn(engine: sglc.Engine) -> None:
    stream = endless.run(stream=True).text_iter()
    next(stream)
    next(stream)
    del stream
    gc.collect()
    assert_withdrawn(engine)


def test_an_abandoned_asynchronous_stream_is_withdrawn(engine: sglc.Engine) -> None:
    async def main() -> None:
        async for _ in endless.run(stream=True).text_async_iter():
            break

    asyncio.run(main())
    gc.collect()
    assert_withdrawn(engine)


def test_a_cancelled_task_withdraws_its_requests(engine: sglc.Engine) -> None:
    async def main() -> None:
        task = asyncio.create_task(endless.arun())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert_withdrawn(engine)
