"""The peers that make token masks, set up on a vocabulary.

| asked | answered |
|---|---|
| `{"do": "load", "tokens": [hexadecimal, "" for special ones], "eos_id", "tokenizer_json": path}` | `{"version"}` |
| `{"do": "compile", "kind": "regex" or "json_schema", "text"}` | `{"milliseconds"}` |
| `{"do": "walk", "text": as compiled, "walks": [[token ids]], "rounds"}` | `{"nanoseconds": [of each token]}` |

A walk begins anew in each round and once more before all of them; timed is what it takes to take a token over and to
fill the row of the mask behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from benchmarks.peers.engines import start
from benchmarks.peers.installing import Recipe
from benchmarks.peers.protocol import Peer, PeerError
from benchmarks.progress import say

XGRAMMAR = Recipe(
    name="xgrammar",
    worker="xgrammar_worker.py",
    pip=(("install", "--quiet", "torch==2.13.0", "numpy==2.4.6"), ("install", "--quiet", "xgrammar==0.2.8")),
)
LLGUIDANCE = Recipe(
    name="llguidance",
    worker="llguidance_worker.py",
    pip=(("install", "--quiet", "numpy==2.4.6", "llguidance==1.9.1"),),
)
OUTLINES_CORE = Recipe(
    name="outlines",
    worker="outlines_core_worker.py",
    pip=(("install", "--quiet", "numpy==2.4.6", "outlines_core==0.2.14"),),
)
MASK_RECIPES = {recipe.name: recipe for recipe in (XGRAMMAR, LLGUIDANCE, OUTLINES_CORE)}
"""Name → how that peer is installed."""


class MaskColumn:
    """A peer's side of a comparison, which stops nothing: where it is missing or fails, answers are None.

    A language that a peer refuses is noted in `refused`; the peer goes on. `note` says which version it is, or what was
    wrong.
    """

    def __init__(self, name: str, tokens: Sequence[bytes], eos_id: int, file: Path, *, install: bool) -> None:
        self.name = name
        self.refused: dict[str, str] = {}
        self._peer: Peer | None = None
        asked = {"tokens": [token.hex() for token in tokens], "eos_id": eos_id, "tokenizer_json": str(file)}
        try:
            self._peer = start(MASK_RECIPES[name], install=install)
            say(f"loading {name}")
            self.note: str = self._peer.ask({"do": "load", **asked})["version"]
        except PeerError as error:
            self.note = str(error)
            say(f"{name}: {error}")
            self.close()

    def compile(self, kind: str, text: str) -> float | None:
        """Return the milliseconds that a language takes."""
        answer = self._ask(text, {"do": "compile", "kind": kind, "text": text})
        return None if answer is None else float(answer["milliseconds"])

    def walk(self, text: str, walks: Sequence[Sequence[int]], rounds: int) -> list[int] | None:
        """Return the nanoseconds of each token of some walks through a language that was compiled."""
        answer = self._ask(text, {"do": "walk", "text": text, "walks": walks, "rounds": rounds})
        return None if answer is None else list(answer["nanoseconds"])

    def close(self) -> None:
        """End the peer."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _ask(self, text: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        if self._peer is None or text in self.refused:
            return None
        try:
            return self._peer.ask(asked)
        except PeerError as error:
            self.refused[text] = str(error)
            say(f"{self.name}: {str(error)[:200]}")
            if not str(error).startswith("failed"):
                self.close()
            return None
