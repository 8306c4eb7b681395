"""What a constrained generation asks of a language: which tokens may come next, and may it end here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Constraint(Protocol):
    """A language of byte strings met with a vocabulary. Immutable; states are hashable values."""

    @property
    def start(self) -> Hashable:
        """The state before the first byte."""

    def allowed(self, state: Hashable) -> npt.NDArray[np.bool_]:
        """Return a mask over the vocabulary [vocab_size], True where a token keeps the text a viable prefix.

        Special tokens (empty byte strings) are never allowed; the array must not be changed by the caller.
        """

    def advance(self, state: Hashable, token_id: int) -> Hashable:
        """Return the state after an allowed token. Raises ValueError for one that is not allowed."""

    def draft(self, state: Hashable) -> Sequence[int]:
        """Return the tokens that are expected from a state on, none where nothing is.

        They are a guess about what a model says, verified before it counts: any ids will do, equal states giving equal
        ones.
        """

    def may_end(self, state: Hashable) -> bool:
        """Whether the text so far is a member of the language."""

    def must_end(self, state: Hashable) -> bool:
        """Whether no token can follow: the text is a member and no byte extends it to another member."""
