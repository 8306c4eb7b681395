"""What a constrained generation asks of an automaton that has met a vocabulary."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

PackedRow = npt.NDArray[np.uint8]
"""A bit for each logit [ceil(width / 8)], little bit order: token t is bit t % 8 of byte t // 8. Read-only."""


class TokenStates(Protocol):
    """States are immutable and hashable; a token leads from one to the next while some member goes on so."""

    @property
    def start(self) -> Hashable:
        """The state before the first token."""

    def allowed(self, state: Any) -> PackedRow:
        """Return the tokens that keep the text viable. The end of a text is no token: `is_final` says it."""

    def is_final(self, state: Any) -> bool:
        """Whether the text so far is a member."""

    def next(self, state: Any, token: int) -> Hashable | None:
        """Return the state after a token; None for one that is not allowed."""

    def forced(self, state: Any) -> bytes:
        """Return the bytes that every member goes on with; none where one ends or there is a choice."""
