"""What the parts of the generator of program sources share: names in scope, budgets, and a note of what was used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

T = TypeVar("T")

PLAIN_TEXTS = ("a", "hel", "lo ", " wor", "ld", "Q: ", "12", ".5", "un", "believ", "able ", "yes", "e, f", "one two")
ODD_TEXTS = ("", " ", "\n", "\t", "'", '"', "\\", "{}", "%", "好", "你好吗", "é", "e\u0301", "🎉", "<|im_end|>", "Ünï")

MOST_PATHS = 12
"""Ways through a program, estimated from above, that leave it capturable."""


@dataclass
class Value:
    """Something that can be read: its code, its kind (text, int, float, bool, texts, …), whether a model has said it.

    `shape` says what a generated text looks like, `choices` what a select may have chosen, `variable` under which
    name a state holds it.
    """

    code: str
    kind: str
    generated: bool = False
    shape: str = ""
    choices: tuple[str, ...] = ()
    variable: str | None = None


@dataclass
class Helper:
    """A function of the module: the kind it returns, and how a call of it is written."""

    kind: str
    call: Callable[[bool], str]
    use: str


@dataclass
class Scope:
    """What a statement finds: the code of the state it appends to, if any, what may be read, whether a message is open.

    `top` is the body of the program itself, where it may return; `log` says whether its log is within reach, `branch`
    whether a join may bring the state's variables back as lists.
    """

    state: str = ""
    values: list[Value] = field(default_factory=list)
    role: bool = False
    top: bool = False
    log: bool = False
    branch: bool = False
    depth: int = 0

    def inner(self, **changes: object) -> Scope:
        """Return the scope of a block inside: what it sets is not seen outside of it."""
        changed = replace(self, values=self.values.copy(), depth=self.depth + 1, top=False)
        return replace(changed, **changes)  # type: ignore[arg-type]

    def child(self, state: str) -> Scope:
        """Return the scope of a state that was forked from this one."""
        own = [replace(v, code=reading(state, v.variable)) if v.variable else v for v in self.values]
        return replace(self.inner(state=state), values=own, branch=True)

    def set(self, value: Value) -> None:
        """Let a value be read from here on; what it replaces can't be."""
        self.values = [v for v in self.values if v.code != value.code] + [value]


def reading(state: str, variable: str | None) -> str:
    """Return the code that reads a variable of a state."""
    return f'{state}["{variable}"]'


def literal(text: str) -> str:
    """Return a text as a literal."""
    return json.dumps(text, ensure_ascii=False)


def indented(lines: Sequence[str]) -> list[str]:
    """Return lines as the body of a block."""
    return ["    " + line for line in lines or ("pass",)]


class Writer:
    """Draws code. `uses` are the names of the constructs drawn so far.

    A decision on something generated multiplies the ways through the program; there are at most `most_paths`.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(f"source {seed}")
        self.uses: set[str] = set()
        self.scope = Scope()
        self.helpers: list[Helper] = []
        self.generations = self.random.choice((1, 2, 2, 3, 3, 4))
        self.breaking = self.chance(0.26)
        """Whether the program holds something that can't be captured."""
        self.crowded = self.chance(0.02)
        self.effects = False
        """Whether the program has effects; these name its row."""
        self._paths = 1
        self._turns = 1
        self._names: dict[str, int] = {}
        self.met = False
        """Whether something generated was read; see `watched`."""

    # Drawing

    def chance(self, likelihood: float) -> bool:
        """Return True this often."""
        return self.random.random() < likelihood

    def pick(self, items: Sequence[T]) -> T:
        """Return one of some."""
        return self.random.choice(items)

    def use(self, construct: str) -> None:
        """Note that a construct is used."""
        self.uses.add(construct)

    def fresh(self, stem: str) -> str:
        """Return a name that is not taken."""
        self._names[stem] = number = self._names.get(stem, 0) + 1
        return f"{stem}{number}"

    def constant(self) -> str:
        """Return the literal of a text."""
        return literal(self.pick(PLAIN_TEXTS if self.chance(0.75) else ODD_TEXTS))

    def watched(self, draw: Callable[[], T]) -> tuple[T, bool]:
        """Return what `draw` draws, and whether it reads something generated."""
        before, self.met = self.met, False
        drawn = draw()
        met, self.met = self.met, self.met or before
        return drawn, met

    # Scopes and budgets

    @contextmanager
    def inside(self, scope: Scope, turns: int = 1) -> Iterator[Scope]:
        """Draw in another scope, in code that runs so many times."""
        outer, self.scope = self.scope, scope
        before, self._turns = self._turns, self._turns * turns
        try:
            yield scope
        finally:
            self.scope, self._turns = outer, before

    def readable(self, kind: str, generated: bool = True) -> list[Value]:
        """Return what is in scope of a kind."""
        return [v for v in self.scope.values if v.kind == kind and (generated or not v.generated)]

    def read(self, value: Value) -> str:
        """Return the code that reads a value."""
        self.met |= value.generated
        return value.code

    def can_decide(self, ways: int = 2) -> bool:
        """Return whether a decision on something generated may be taken here."""
        most = 128 if self.crowded else MOST_PATHS
        return self._paths * ways**self._turns <= most and self._turns <= 8

    def decide(self, ways: int = 2) -> None:
        """Note such a decision."""
        self._paths *= ways**self._turns

    def can_generate(self, count: int = 1) -> bool:
        """Return whether that many generations more may run here."""
        return self.generations >= count * self._turns

    def generate(self) -> None:
        """Note a generation."""
        self.generations -= self._turns
