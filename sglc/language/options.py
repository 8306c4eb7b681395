"""How rows are to be run: which passes their graphs go through, and what is wanted of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sglc.errors import ProgramError, caller_location
from sglc.passes.base import Pass
from sglc.passes.pipeline import passes_of
from sglc.passes.share_rows import ShareRows

DEFAULT_LEVEL = 2
LEVELS = range(4)

Optimize = int | Sequence[Pass]
"""An -O level, 0 to 3, or the passes themselves."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`passes` are those that captured graphs go through, `outputs` the variables that are wanted (None: everything).

    With `eager` rows run in Python. Without passes the engine is left to itself: calls are served in the order they
    come, and what its cache lets go is what was used least recently.
    """

    passes: tuple[Pass, ...]
    outputs: tuple[str, ...] | None = None
    eager: bool = False
    shares: bool = field(init=False)
    """Whether equal greedy generations run once, also of rows that no graph was found for."""

    def __post_init__(self) -> None:
        shares = not self.eager and any(each.name == ShareRows.name for each in self.passes)
        object.__setattr__(self, "shares", shares)


def run_options(optimize: Optimize, outputs: Iterable[str] | None, eager: bool) -> RunOptions:
    """Return the options of a run. Raises ProgramError for a level that there is not."""
    if isinstance(optimize, Sequence):
        passes = tuple(optimize)
    elif optimize in LEVELS:
        passes = passes_of(optimize)
    else:
        found = f"found optimize={optimize!r}"
        raise ProgramError(f"{found}; wanted a level, 0 to {LEVELS[-1]}, or a list of passes", caller_location())
    if isinstance(outputs, str):
        outputs = (outputs,)
    return RunOptions(passes, None if outputs is None else tuple(outputs), eager)
