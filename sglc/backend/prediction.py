"""What a run is going to cost: exactly, once it is known what the model says, or at most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from sglc.backend.playing import played

if TYPE_CHECKING:
    from sglc.backend.counters import Counters
    from sglc.backend.engine import Engine
    from sglc.backend.tape import Tape

Run = Callable[["Engine"], object]
"""Runs rows on an engine, all that is to be foretold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A run's cost, each figure that of `Counters` with this name; None where nothing bounds it."""

    requests: int | None
    filled: int | None
    relogit: int | None
    refilled: int | None
    decoded: int | None
    forward_passes: int | None
    sequence_steps: int | None
    tokenizer_calls: int | None
    peak_kv: int | None

    @classmethod
    def of(cls, counters: Counters) -> Prediction:
        """Return what was counted as a prediction."""
        return cls(**{field.name: getattr(counters, field.name) for field in fields(cls)})

    def as_dict(self) -> dict[str, int | None]:
        """Return the figures as a flat JSON object."""
        return asdict(self)

    def exceeded_by(self, cost: Prediction) -> list[str]:
        """Return the names of figures that are less here than there: none, if this bounds that."""
        theirs = cost.as_dict()
        return [name for name, most in self.as_dict().items() if most is not None and (theirs[name] or 0) > most]


def predict(run: Run, engine: Engine, tape: Tape) -> Prediction:
    """Return what a run costs on an engine like this one with an empty cache, if the model says what is on the tape.

    The run is made, by the same scheduler, but nothing is computed and no host code called. So the tape's own run comes
    out as it was counted, and other passes, orders or sizes of the cache as they would be. Raises OffTape where the run
    asks for what the tape does not have.
    """
    with played(engine, tape) as player:
        run(player)
    return Prediction.of(player.counters)
