"""Streams: a program's text, or one of its variables, piece by piece as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sglc.language.state import ProgramState


def stream(state: ProgramState, name: str | None) -> Iterator[str]:
    """Yield what is new, running the program meanwhile on this thread."""
    inside = state.row.loop.in_body  # who reads is the program itself: it appends nothing while it does
    if inside:
        state.close_text()
    sent = 0
    while True:
        state.row.loop.wait_until(partial(_moved, state, name, sent, inside))
        text = state.text_so_far(name)
        if len(text) > sent:
            yield text[sent:]
            sent = len(text)
        else:
            state.raise_if_failed(name)
            return


async def async_stream(state: ProgramState, name: str | None, with_meta: bool) -> AsyncIterator[Any]:
    """Yield what is new, running the program meanwhile on asyncio's thread."""
    sent = 0
    while True:
        await state.row.loop.arun_until(partial(_moved, state, name, sent))
        text = state.text_so_far(name)
        if len(text) > sent:
            piece, sent = text[sent:], len(text)
            yield (piece, state.meta_so_far(name)) if with_meta and name is not None else piece
        else:
            state.raise_if_failed(name)
            return


def _moved(state: ProgramState, name: str | None, seen: int, inside: bool = False) -> bool:
    return state.stream_over(name) or (inside and state.idle) or len(state.text_so_far(name)) > seen
