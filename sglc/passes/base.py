"""What a pass is, what it is told about a run, and what it tells the user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from sglc.ir.graph import Attribute, Graph
from sglc.ir.sampling import SamplingParams

if TYPE_CHECKING:
    from sglc.errors import Location
    from sglc.passes.splitters import Spelling


class Keeps(IntEnum):
    """What is the same behind a pass as before it; the number is the least -O level that the pass belongs to."""

    EXACT = 1
    """Token ids and log-probabilities, in exact arithmetic."""
    DISTRIBUTION = 2
    """The probabilities of what may be said."""
    UNORDERED = 3
    """All of it, up to the order of sections that were declared unordered."""


class Wording(Protocol):
    """What passes ask of the tokenizer and the chat template that a plan is made for."""

    @property
    def prefix(self) -> Sequence[int]:
        """Token ids that belong before the first text of a prompt."""

    @property
    def fingerprint(self) -> str:
        """A short text that is equal for equal tokenizers with equal chat templates."""

    @property
    def spelling(self) -> Spelling:
        """How the tokenizer takes text apart."""

    def encode_batch(self, texts: Sequence[str], at_start: Sequence[bool]) -> list[list[int]]:
        """Return the token ids of each text; `at_start`: as the first text of a prompt."""

    def encode_with_ends(self, text: str, *, at_start: bool = False) -> tuple[list[int], list[int]]:
        """Return the token ids of a text, and for each where its span ends, in characters of the text."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a graph is optimized for.

    `params` are the sampling defaults of the run, `outputs` the names of the variables that are wanted of it (None: all
    of them and the text). Without `wording` nothing is tokenized: passes that would leave a graph as it is. `fixed` are
    arguments that have one value in all rows, each text, a number, a truth value or None.
    """

    params: SamplingParams = field(default_factory=SamplingParams)
    outputs: tuple[str, ...] | None = None
    wording: Wording | None = None
    fixed: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remark:
    """What a pass did (`done`) or would have done but for something that the user may mend (`missed`).

    `count` is how many of `unit` it concerns, such as 419 "tokens".
    """

    source: str
    kind: Literal["done", "missed"]
    text: str
    location: Location | None = None
    count: int = 1
    unit: str = ""

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location else ""
        return f"{place}{self.source}: {'missed: ' if self.kind == 'missed' else ''}{self.text}"


class Remarks:
    """Collects what passes have to say, in order; `of` is the one that speaks."""

    def __init__(self) -> None:
        self.found: list[Remark] = []
        self.source = ""

    def done(self, text: str, location: Location | None = None, count: int = 1, unit: str = "") -> None:
        """Note something that was done."""
        self.found.append(Remark(self.source, "done", text, location, count, unit))

    def missed(self, text: str, location: Location | None = None, count: int = 1, unit: str = "") -> None:
        """Note something that could not be done, and what would mend that."""
        self.found.append(Remark(self.source, "missed", text, location, count, unit))


@dataclass(frozen=True, slots=True)
class Pass:
    """A step of the optimizer: a function from graphs to graphs.

    The fields of a subclass are its options: bool, int or text, each with a default. Its docstring opens with a graph
    before and after. It returns a canonical graph, the same object where there is nothing to do, and never less than
    what it `keeps`. Run again on what it returned it changes nothing. As text it is what `parse_pipeline` reads.
    """

    name: ClassVar[str] = ""
    level: ClassVar[Literal["program", "plan"]] = "program"
    keeps: ClassVar[Keeps] = Keeps.EXACT

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the graph made better for a target."""
        raise NotImplementedError

    def __str__(self) -> str:
        given = {option.name: getattr(self, option.name) for option in fields(self)}
        options = [
            f"{option_name(option.name)}={json.dumps(given[option.name], ensure_ascii=False)}"
            for option in fields(self)
            if given[option.name] != option.default
        ]
        return f"{self.name}{{{','.join(options)}}}" if options else self.name


def counted(count: int, noun: str) -> str:
    """Return how a remark says how many there are of something: "1 branch", "2,000 branches"."""
    return f"{count:,} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return what several of something are called."""
    return noun + ("es" if noun.endswith("ch") else "s")


def option_name(field_name: str) -> str:
    """Return how a field of a pass is called in text."""
    return field_name.replace("_", "-")
