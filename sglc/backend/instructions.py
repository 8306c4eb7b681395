"""What the operations of a plan do when a row comes to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sglc.backend.choices import METHODS
from sglc.backend.left_states import LeftGroup, LeftState
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import Op, Value

if TYPE_CHECKING:
    from sglc.backend.execution import Execution
    from sglc.backend.plan import Section

Values = list[Any]


class Places(Protocol):
    """Where a plan keeps what."""

    def of(self, value: Value) -> int:
        """Return a value's place among those of a row."""

    def answer(self, value: Value) -> int:
        """Return the place of the answer that has this text of a generation or choice."""

    def find_answer(self, value: Value) -> int | None:
        """Return the place of the answer that has this text, None for a value that is no such text."""

    def function(self, name: str) -> Callable[..., Any]:
        """Return the function that calls name."""


class Instruction:
    """An operation ready to run: takes operands from a row's values and puts its result there, or asks for it.

    `users` wait for it, `drops` are places that nothing needs behind it. `continues`: what it makes goes on from the
    prompt at `source`, without anything said between. Built once a plan, shared by all rows.
    """

    __slots__ = ("continues", "drops", "number", "op", "source", "sources", "target", "users")

    asks = False
    """Whether its result comes later: `Execution` completes it then."""

    def __init__(self, op: Op, places: Places) -> None:
        self.op = op
        self.number = 0
        self.continues = False
        self.users: list[Instruction] = []
        self.drops: tuple[int, ...] = ()
        self.sources = tuple(map(places.of, op.operands))
        self.source = self.sources[0] if self.sources else 0
        self.target = places.of(op.results[0]) if op.results else 0

    def run(self, execution: Execution, values: Values) -> None:
        """Do it for one row. Raises whatever the row can't go on with."""
        self.compute(values)

    def compute(self, values: Values) -> None:
        """Put there what depends on the operands alone; only for what asks nobody."""
        raise NotImplementedError


class _Extend(Instruction):
    __slots__ = ("_text", "_texts")

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self._texts = self.sources[1:]
        self._text = self._texts[0] if len(self._texts) == 1 else None

    def compute(self, values: Values) -> None:
        if self._text is not None:
            values[self.target] = values[self.source].append(values[self._text])
        else:
            values[self.target] = values[self.source].append(*[values[text] for text in self._texts])


class _Arrange(_Extend):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        texts = tuple([values[text] for text in self._texts])
        values[self.target] = values[self.source].append(*values[-1].get(texts, texts))


class _Open(Instruction):
    __slots__ = ("role",)

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self.role: str = op.attributes["role"]

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source].begin(self.role)


class _Close(_Open):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source].end(self.role)


class _Rest(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source].rest()


class _Tokens(Instruction):
    __slots__ = ("_ids", "_text")

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self._text: str = op.attributes["text"]
        self._ids: tuple[int, ...] = op.attributes["ids"]

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source].append_tokens(self._text, self._ids)


class Settle(Instruction):
    """Tokenizes a prompt, for all that go on from it."""

    __slots__ = ()
    asks = True

    def run(self, execution: Execution, values: Values) -> None:
        execution.settle(self, values[self.source])


class Pin(Instruction):
    """Leaves a prompt as it is; `Plan` looks for those that are the same in every row."""

    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source]


class _Text(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source].text


class _Since(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        earlier, later = self.sources
        values[self.target] = values[later].since(values[earlier])


class _Messages(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self.source].messages


class _OfAnswer(Instruction):
    __slots__ = ("_answer",)

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self._answer = places.answer(op.operands[0])


class _Meta(_OfAnswer):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self._answer].meta


class _Thoughts(_OfAnswer):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = values[self._answer].thoughts


class _Concat(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = "".join([values[source] for source in self.sources])


class _List(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = [values[source] for source in self.sources]


class _Tuple(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = tuple([values[source] for source in self.sources])


class _Dict(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        items = [values[source] for source in self.sources]
        values[self.target] = dict(zip(items[::2], items[1::2], strict=True))


class State(Instruction):
    """A state that the program returns beside its own."""

    __slots__ = ("_answers", "_names")

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self._names: Sequence[str] = op.attributes.get("names", ())
        self._answers = tuple(places.find_answer(value) for value in op.operands[1:])

    def compute(self, values: Values) -> None:
        held = [values[source] for source in self.sources[1:]]
        answers = [None if place is None else values[place] for place in self._answers]
        values[self.target] = LeftState(values[self.source].rest(), self._names, held, answers)


class _Group(Instruction):
    __slots__ = ()

    def compute(self, values: Values) -> None:
        values[self.target] = LeftGroup([values[source] for source in self.sources])


class _Apply(Instruction):
    __slots__ = ("_compute", "_keywords")

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self._compute = FUNCTIONS[op.attributes["fn"]].compute
        self._keywords: Sequence[str] = op.attributes.get("keywords", ())

    def compute(self, values: Values) -> None:
        given, named = _arguments(self.sources, self._keywords, values)
        values[self.target] = self._compute(*given, **named)


class Call(Instruction):
    """A call of host code; `call_number` is how many come before it in a row."""

    __slots__ = ("_keywords", "call_number", "function")
    asks = True

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self.function = places.function(op.attributes["fn"])
        self.call_number: int = op.attributes["number"]
        self._keywords: Sequence[str] = op.attributes.get("keywords", ())

    def run(self, execution: Execution, values: Values) -> None:
        given, named = _arguments(self.sources, self._keywords, values)
        execution.call(self, given, named)


class Sampling(Instruction):
    """A generation or choice: beside the prompt behind it and its text, its answer is kept, under the name `site`.

    `turn` (none is 0), `keep` and `ahead` are what a plan tells the scheduler.
    """

    __slots__ = ("ahead", "answer", "keep", "site", "text", "turn")
    asks = True

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self.turn: int = op.attributes.get("turn", 0)
        self.keep: bool = op.attributes.get("keep", False)
        self.ahead: int = op.attributes.get("ahead", 0)
        self.site: str = op.attributes["site"]
        self.text = places.of(op.results[1])
        self.answer = places.answer(op.results[1])


class Decode(Sampling):
    """A generation; `index` is its place among those of the plan."""

    __slots__ = ("index",)

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self.index = 0

    def run(self, execution: Execution, values: Values) -> None:
        execution.decode(self, values[self.source])


class Score(Sampling):
    """A choice."""

    __slots__ = ("location", "method")

    as_tree = False
    """Whether what choices share is computed once."""

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self.method = METHODS[op.attributes.get("method", "token_length_normalized")]
        self.location = op.location

    def run(self, execution: Execution, values: Values) -> None:
        choices = [values[source] for source in self.sources[1:]]
        for choice in choices:
            if not isinstance(choice, str) or not choice:
                raise ValueError(f"found the choice {choice!r}; wanted a non-empty text")
        execution.score(self, values[self.source], choices)


class Choose(Score):
    """A choice, as a tree of tokens."""

    __slots__ = ()
    as_tree = True


class Release(Instruction):
    """A prompt that nothing needs any more once those that use it are done."""

    __slots__ = ()

    def __init__(self, op: Op, places: Places) -> None:
        super().__init__(op, places)
        self.drops = (self.source,)

    def run(self, execution: Execution, values: Values) -> None:
        """Do nothing: the prompt is dropped behind it."""


class Branch(Instruction):
    """Goes on in the section of the case that has the operand's value."""

    __slots__ = ("cases",)

    def __init__(self, op: Op, places: Places, cases: Mapping[bool | str, Section]) -> None:
        super().__init__(op, places)
        self.cases = cases

    def run(self, execution: Execution, values: Values) -> None:
        value = values[self.source]
        following = self.cases.get(value) if type(value) in (bool, str) else None
        if following is None:
            raise ValueError(f"found {value!r}; wanted one of the cases {', '.join(map(repr, self.cases))}")
        execution.enter(following)


def _arguments(sources: Sequence[int], keywords: Sequence[str], values: Values) -> tuple[list[Any], Mapping[str, Any]]:
    """Return operands as positional arguments and, the last of them, as keyword arguments."""
    given = [values[source] for source in sources]
    if not keywords:
        return given, _NO_KEYWORDS
    positional = len(given) - len(keywords)
    return given[:positional], dict(zip(keywords, given[positional:], strict=True))


_NO_KEYWORDS: Mapping[str, Any] = {}

INSTRUCTIONS: Mapping[str, type[Instruction]] = {
    "extend": _Extend,
    "arrange": _Arrange,
    "tokens": _Tokens,
    "settle": Settle,
    "pin": Pin,
    "open": _Open,
    "close": _Close,
    "rest": _Rest,
    "text": _Text,
    "since": _Since,
    "messages": _Messages,
    "meta": _Meta,
    "thoughts": _Thoughts,
    "concat": _Concat,
    "state": State,
    "group": _Group,
    "list": _List,
    "tuple": _Tuple,
    "dict": _Dict,
    "apply": _Apply,
    "call": Call,
    "decode": Decode,
    "score": Score,
    "choose": Choose,
    "release": Release,
}
"""Operation → its instruction; `const` and `start` need none, and terminators end a block."""
