"""Watching an engine at work: who is told of what programs ask, and of every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sglc.backend.asking import Asking
    from sglc.backend.request import Request
    from sglc.backend.scheduler import Work


class Observer(Protocol):
    """Told of what happens, at once and on the thread where it does; times are those of `perf_counter`."""

    def asked(self, asking: Asking, requests: Sequence[Request]) -> None:
        """Learn that a program asks the engine something."""

    def stepped(self, works: Sequence[Work], began: float, ended: float) -> None:
        """Learn what was computed in a step."""

    def called(self, row: int, began: float, ended: float) -> None:
        """Learn that a row's call of host code has returned."""
