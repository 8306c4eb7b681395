"""What a run has learnt on its way: outcomes of decisions, and what selects may still have chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sglc.ir.graph import Value

Label = bool | str


class Facts:
    """Values that are known on this path, and the choices left of those that are not."""

    def __init__(self) -> None:
        self._known: dict[Value, Label] = {}
        self._choices: dict[Value, tuple[str, ...]] = {}

    def known(self, value: Value) -> Label | None:
        """Return the outcome of a decided value, or the only choice left of a select."""
        if value in self._known:
            return self._known[value]
        left = self._choices.get(value, ())
        return left[0] if len(left) == 1 else None

    def choose_among(self, value: Value, choices: tuple[str, ...]) -> None:
        """Note what a select chooses among."""
        self._choices[value] = tuple(dict.fromkeys(choices))

    def choices(self, value: Value | None) -> tuple[str, ...] | None:
        """Return what a select may still have chosen; None for other values."""
        return self._choices.get(value) if value is not None else None

    def equals(self, value: Value | None, text: Any) -> bool | None:
        """Return whether a select has chosen `text`, where what is left of its choices says so."""
        left = self.choices(value)
        if left is None:
            return None
        if text not in left:
            return False
        return True if len(left) == 1 else None

    def learn(self, value: Value, label: Label) -> None:
        """Note the outcome of a decision."""
        self._known[value] = label
        if value in self._choices:
            self._choices[value] = (str(label),)

    def learn_choice(self, value: Value, text: str, chosen: bool) -> None:
        """Note whether a select has chosen `text`."""
        left = self._choices.get(value, ())
        self._choices[value] = (text,) if chosen else tuple(each for each in left if each != text)
