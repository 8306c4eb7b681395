"""What every worker that makes token masks does: compile languages, and time a token and the next row of the mask.

A worker is a script in its peer's own virtual environment. `mask_engines.py` describes what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, Protocol

from worker_loop import Answer, Asked, serve  # type: ignore[import-not-found]


class Matcher(Protocol):
    """Follows one text: the token said, and the row of those that may come next, filled into the engine's buffer."""

    def advance(self, token: int) -> bool:
        """Take a token over; return whether it was allowed."""

    def fill(self) -> None:
        """Fill the row."""


class MaskEngine(Protocol):
    """A vocabulary, set up, and the languages compiled for it so far."""

    def compile(self, kind: str, text: str) -> Any:
        """Return the language of a regex or of a JSON schema, according to `kind`."""

    def start(self, language: Any) -> Matcher:
        """Return a matcher at the beginning of a text."""


def serve_masks(load: Callable[[Asked], MaskEngine], version: str) -> None:
    """Serve until stdin ends. `load` sets a vocabulary up, which is timed."""
    languages: dict[str, Any] = {}

    def timed_load(asked: Asked) -> tuple[MaskEngine, str]:
        started = perf_counter_ns()
        engine = load(asked)
        return engine, f"{version}, vocabulary in {(perf_counter_ns() - started) / 1e6:.0f} ms"

    def answer(engine: MaskEngine, asked: Asked) -> Answer:
        if asked["do"] == "compile":
            started = perf_counter_ns()
            languages[asked["text"]] = engine.compile(asked["kind"], asked["text"])
            return {"milliseconds": (perf_counter_ns() - started) / 1e6}
        return {"nanoseconds": walk(engine, languages[asked["text"]], asked["walks"], asked["rounds"])}

    serve(timed_load, answer)


def walk(engine: MaskEngine, language: Any, walks: list[list[int]], rounds: int) -> list[int]:
    """Return the times of each token with the row after it, of all rounds but the first. Raises ValueError."""
    once(engine, language, walks)
    return [time for _ in range(rounds) for time in once(engine, language, walks)]


def once(engine: MaskEngine, language: Any, walks: list[list[int]]) -> list[int]:
    """Return the time of each token with the row after it, in nanoseconds. Raises ValueError for a token refused."""
    times: list[int] = []
    for tokens in walks:
        matcher = engine.start(language)
        matcher.fill()
        for token in tokens:
            started = perf_counter_ns()
            allowed = matcher.advance(token)
            matcher.fill()
            times.append(perf_counter_ns() - started)
            if not allowed:
                raise ValueError(f"found the token {token} refused; wanted it allowed, as in {tokens}")
    return times
