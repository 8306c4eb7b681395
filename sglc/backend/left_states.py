"""States that a captured program returns beside its own: what is known of them, for the language to put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sglc.backend.execution import Answer
    from sglc.backend.transcript import Transcript


@dataclass(frozen=True, slots=True)
class LeftState:
    """A state as the program left it: its variables by name, with the answers that they are the texts of."""

    transcript: Transcript
    names: Sequence[str]
    values: Sequence[Any]
    answers: Sequence[Answer | None]


@dataclass(frozen=True, slots=True)
class LeftGroup:
    """The states of a fork."""

    states: Sequence[LeftState]
