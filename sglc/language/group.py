"""The branches of a fork."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sglc.errors import ProgramError, caller_location
from sglc.language.primitives import Expression

JOIN_MODES = ("gather_variable", "concate_and_append")


class ProgramStateGroup:
    """States that were forked from one parent, in order."""

    __slots__ = ("_parent", "states")

    def __init__(self, states: list[Any], parent: Any) -> None:
        self.states = states
        self._parent = parent

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, i: int) -> Any:
        return self.states[i]

    def __setitem__(self, i: int, state: Any) -> None:
        """Accept what `group[i] += …` assigns back; nothing else belongs here."""
        if self.states[i] is not state:
            raise ProgramError(f"found another state assigned to branch {i}; wanted group[{i}] += …", caller_location())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.states)

    def __iadd__(self, other: Any) -> ProgramStateGroup:
        """Append to all branches: the same text or expression, one of a list each, or what a function of i returns."""
        for state, part in zip(self.states, self._spread(other), strict=True):
            state += part
        return self

    def _spread(self, other: Any) -> Sequence[Any]:
        count = len(self.states)
        if isinstance(other, str | Expression):
            return [other] * count
        if callable(other):
            return [other(i) for i in range(count)]
        if isinstance(other, list | tuple):
            if len(other) != count:
                raise ProgramError(f"found {len(other)} parts for {count} branches; wanted one each", caller_location())
            return other
        wanted = "wanted text, an expression, a list of them, or a function of the branch number"
        raise ProgramError(f"found {other!r} appended to a fork; {wanted}", caller_location())

    def join(self, mode: str = "gather_variable") -> None:
        """Bring the branches back to their parent.

        `gather_variable`: each variable that branches set since the fork becomes a list in the parent, in branch
        order, over those branches that set it. `concate_and_append`: the branches' texts since the fork are appended
        to the parent. Neither waits. Raises ProgramError for another mode.
        """
        if mode not in JOIN_MODES:
            raise ProgramError(f"found join({mode!r}); wanted one of {', '.join(JOIN_MODES)}", caller_location())
        if mode == "concate_and_append":
            self._parent.concatenate(self.states)
        else:
            self._parent.gather(self.states)
