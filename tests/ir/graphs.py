"""Random graphs that are legal: nested branches, every operation, attributes of every kind, texts that hurt."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from sglc.errors import Location
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import BlockBuilder, Graph, Value, make_graph
from sglc.ir.ops import Effect, OpRow, rows_of
from sglc.ir.types import Type

PIECES = (
    *("a", "yes", " no", "\n", "\t", "\r", "\0", "\x1b[31m", "\x7f", "\x85", "\x9f", "\xa0", "\xad"),
    *('"', "'", "\\", '\\"', "\\n", "\\u{d83d}", "\\u0041", "//", "{", "}", "[", "%p", "@", "= ", "->", "loc("),
    *(
        "é",
        "e\u0301",
        "你好",
        "🎉",
        "👨\u200d👩\u200d👧",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\ufffd",
        "\U000e0001",
        "\U0010ffff",
    ),
    *("\ud83d", "\ude00", "\ud83d\ude00", "\udc00\ud800", "\ud800"),
)
"""What wild texts are made of: quotes, comments, controls, what can't be seen, and surrogates of all kinds."""

FLOATS = (
    0.0,
    -0.0,
    1.0,
    0.1,
    -1e-300,
    5e-324,
    1.7976931348623157e308,
    1e22,
    1e16,
    float("inf"),
    float("-inf"),
    float("nan"),
)
INTS = (0, 1, -1, 7, 2**31, -(2**63), 10**40, -(10**400))
ARGUMENTS = ("essay", "p", "x_1", "_", "größe", "名前", "naïve", "graph", "true", "e\u0301t\u0301é")
HINTS = ("", "", "p", "p", "clarity", "p_1", "0", "_", "a b", "größe", "x_2_3", "return")
NAMES = ("judge", "größe", "_", "graph", "<lambda>", "", 'a "b"', "x//y", "\ud800")
SCALAR_TYPES = (Type.TEXT, Type.INT, Type.FLOAT, Type.BOOL, Type.NONE)
VALUE_TYPES = tuple(kind for kind in Type if kind is not Type.PROMPT)


def wild_text(random: Random) -> str:
    """Return a text that hurts, most often a short one."""
    return "".join(random.choice(PIECES) for _ in range(random.choice((0, 1, 1, 2, 5))))


def scalar(random: Random, kind: Type) -> Any:
    """Return a Python value of a scalar type."""
    makers: dict[Type, Callable[[], Any]] = {
        Type.TEXT: lambda: wild_text(random),
        Type.INT: lambda: random.choice(INTS),
        Type.FLOAT: lambda: random.choice(FLOATS),
        Type.BOOL: lambda: random.random() < 0.5,
        Type.NONE: lambda: None,
    }
    return makers[kind]()


def _texts(random: Random) -> tuple[str, ...]:
    return tuple(f"{wild_text(random)}." for _ in range(random.randrange(3)))


SAMPLING: dict[str, Callable[[Random], Any]] = {
    "max_new_tokens": lambda random: random.choice((200, 10**20)),
    "min_new_tokens": lambda random: random.choice((0, 3)),
    "stop": lambda random: random.choice((_texts(random), "\n", ())),
    "stop_token_ids": lambda random: random.choice(((), (1, 2), 5)),
    "stop_regex": lambda random: random.choice((("[0-9]+", "\n\n?"), "a")),
    "temperature": lambda random: random.choice((0, 0.0, 0.7, 1)),
    "top_p": lambda random: random.choice((0.5, 1, 5e-324)),
    "top_k": lambda random: random.choice((-1, 1, 50)),
    "min_p": lambda random: random.choice((0.0, -0.0, 1)),
    "frequency_penalty": lambda random: random.choice((-2, 0.5)),
    "presence_penalty": lambda random: random.choice((-2, 0.5)),
    "repetition_penalty": lambda random: random.choice((1e-7, 1.1)),
    "logit_bias": lambda random: random.choice(((), ((1, 2.5), (2, float("-inf"))))),
    "ignore_eos": lambda random: random.random() < 0.5,
    "seed": lambda random: random.choice((0, -(2**63), 2**64 - 1)),
    "return_logprob": lambda random: random.random() < 0.5,
    "logprob_start_len": lambda random: random.choice((-1, 0, 7)),
    "top_logprobs_num": lambda random: random.choice((0, 5)),
    "return_text_in_logprobs": lambda random: random.random() < 0.5,
}
"""Sampling parameter → a value of it; `n` is drawn with the type of its result."""


class _Writer:
    """Writes one block; it knows the values that can be seen there."""

    def __init__(self, random: Random, level: str, builder: BlockBuilder, depth: int) -> None:
        self.random = random
        self.level = level
        self.builder = builder
        self.depth = depth
        self.rows = rows_of(level)
        self.values: list[Value] = []
        self.reported: list[tuple[Value, bool]] = []  # results of gen and select; whether with reasoning
        self.lines: dict[Value, list[Value]] = {}  # a prompt → those that it goes on from, and itself
        self.calls = 0
        self.sites = 0

    def inside(self, builder: BlockBuilder) -> _Writer:
        """Return a writer of a block inside this one."""
        inner = _Writer(self.random, self.level, builder, self.depth - 1)
        inner.values, inner.reported, inner.lines = [*self.values], [*self.reported], {**self.lines}
        inner.calls, inner.sites = self.calls, self.sites
        return inner

    def block(self) -> None:
        """Write operations and an end."""
        names = [name for name, row in self.rows.items() if row.effect is not Effect.END]
        for _ in range(self.random.choice((1, 3, 6))):
            self.operation(self.random.choice(names))
        ends = ("return", "return", "eager", "branch", "branch") if self.depth else ("return", "eager")
        getattr(self, f"_{self.random.choice(ends)}")()

    def emit(
        self, name: str, operands: list[Value], types: list[Type], attributes: dict[str, Any]
    ) -> tuple[Value, ...]:
        """Write an operation; note what it gives."""
        hint = self.random.choice(HINTS)
        results = self.builder.emit(name, operands, types, attributes, hint=hint, location=self.location())
        for value in results:
            if value in self.values:
                continue
            self.values.append(value)
            if value.type is Type.PROMPT:
                before = next((self.lines[operand] for operand in operands if operand.type is Type.PROMPT), [])
                self.lines[value] = [*before, value]
        return results

    def location(self) -> Location | None:
        """Return a place, or none."""
        if self.random.random() < 0.5:
            return None
        return Location(wild_text(self.random), self.random.choice((1, 20, 999_999_999)))

    def value(self, kind: Type) -> Value:
        """Return a value that can stand for `kind`, an existing one most often."""
        known = [value for value in self.values if kind.accepts(value.type)]
        if known and self.random.random() < 0.8:
            return self.random.choice(known)
        if kind is Type.PROMPT:
            return self.emit("empty" if self.level == "program" else "start", [], [kind], {})[0]
        exact = self.random.choice(SCALAR_TYPES) if kind is Type.VALUE else kind
        return self.emit("const", [], [exact], {"value": scalar(self.random, exact)})[0]

    def operation(self, name: str) -> None:
        """Write an operation of this name where one can be written."""
        row = self.rows[name]
        special = getattr(self, f"_{name}", None)
        if special is not None:
            special()
            return
        attributes = {"role": wild_text(self.random)} if "role" in row.attributes else {}
        self.emit(name, self._operands(row), [*row.results], attributes)

    def _operands(self, row: OpRow) -> list[Value]:
        several = [row.rest] * self.random.randrange(4) if row.rest is not None else []
        return [self.value(kind) for kind in (*row.operands, *several)]

    def _const(self) -> None:
        kind = self.random.choice(SCALAR_TYPES)
        self.emit("const", [], [kind], {"value": scalar(self.random, kind)})

    def _dict(self) -> None:
        operands = [self.value(Type.VALUE) for _ in range(self.random.choice((0, 2, 4)))]
        self.emit("dict", operands, [Type.DICT], {})

    def _keywords(self, operands: list[Value]) -> dict[str, Any]:
        count = min(len(operands), self.random.choice((0, 0, 1, 2)))
        names = {f"{wild_text(self.random)}{i}": None for i in range(count)}
        return {"keywords": tuple(names)} if names else {}

    def _apply(self) -> None:
        function = self.random.choice([*FUNCTIONS.values()])
        operands = self._operands(self.rows["apply"])
        kind = self.random.choice(VALUE_TYPES) if function.result is Type.VALUE else function.result
        self.emit("apply", operands, [kind], {"fn": function.name, **self._keywords(operands)})

    def _call(self) -> None:
        operands = self._operands(self.rows["call"])
        attributes = {"fn": wild_text(self.random), "number": self.calls, **self._keywords(operands)}
        self.calls += self.random.choice((1, 5))
        self.emit("call", operands, [self.random.choice(VALUE_TYPES)], attributes)

    def _site(self) -> str:
        self.sites += 1
        return f"{wild_text(self.random)}:{self.sites}"

    def _gen(self) -> None:
        attributes: dict[str, Any] = {}
        for name in self.random.sample([*SAMPLING], self.random.choice((0, 1, 3))):
            attributes[name] = SAMPLING[name](self.random)
        kind = self.random.choice((Type.TEXT, Type.TEXTS))
        if self.random.random() < 0.3:
            attributes["n"] = 1 if kind is Type.TEXT else 3
        attributes["site"] = self._site()  # behind the others: the text has its own order
        if self.random.random() < 0.3:
            attributes[self.random.choice(("regex", "json_schema", "grammar"))] = wild_text(self.random)
        if self.random.random() < 0.3:
            attributes["reasoning"] = wild_text(self.random)
        name = "gen" if self.level == "program" else "decode"
        attributes.update(self._request(name))
        results = self.emit(name, [self.value(Type.PROMPT)], [Type.PROMPT, kind], attributes)
        self.reported.append((results[1], "reasoning" in attributes))

    _decode = _gen

    def _request(self, name: str) -> dict[str, Any]:
        """Return some of what a plan tells the scheduler of an operation."""
        drawn = {"turn": self.random.choice((1, 7)), "keep": True, "ahead": 40, "shared": True}
        return {key: drawn[key] for key in drawn if key in self.rows[name].attributes and self.random.random() < 0.2}

    def _select(self, name: str = "select") -> None:
        attributes: dict[str, Any] = {"site": self._site()}
        if self.random.random() < 0.3:
            attributes["method"] = f"{wild_text(self.random)}!"
        attributes.update(self._request(name))
        results = self.emit(name, self._operands(self.rows[name]), [Type.PROMPT, Type.TEXT], attributes)
        self.reported.append((results[1], False))

    def _score(self) -> None:
        self._select("score")

    def _choose(self) -> None:
        self._select("choose")

    def _tokens(self) -> None:
        ids = tuple(self.random.choice((0, 1, 50256)) for _ in range(self.random.randrange(4)))
        self.emit("tokens", [self.value(Type.PROMPT)], [Type.PROMPT], {"ids": ids, "text": wild_text(self.random)})

    def _arrange(self) -> None:
        attributes = {"number": self.random.randrange(3)}
        self.emit("arrange", self._operands(self.rows["arrange"]), [Type.PROMPT], attributes)

    def _meta(self) -> None:
        if self.reported:
            self.emit("meta", [self.random.choice(self.reported)[0]], [Type.DICT], {})

    def _thoughts(self) -> None:
        reasoned = [value for value, reasoning in self.reported if reasoning]
        if reasoned:
            value = self.random.choice(reasoned)
            self.emit("thoughts", [value], [value.type], {})

    def _since(self) -> None:
        later = self.value(Type.PROMPT)
        self.emit("since", [self.random.choice(self.lines[later]), later], [Type.TEXT], {})

    def _state(self) -> None:
        names = tuple({wild_text(self.random): None for _ in range(self.random.randrange(4))})
        operands = [self.value(Type.PROMPT), *[self.value(Type.VALUE) for _ in names]]
        self.emit("state", operands, [Type.VALUE], {"names": names} if names else {})

    def _return(self) -> None:
        names = tuple({wild_text(self.random): None for _ in range(self.random.randrange(4))})
        attributes: dict[str, Any] = {"names": names} if names else {}
        operands = [self.value(Type.PROMPT)]
        if self.random.random() < 0.5:
            attributes["returns"] = True
            operands.append(self.value(Type.VALUE))
        operands += [self.value(Type.VALUE) for _ in names]
        self.builder.end("return", operands, attributes, self.location())

    def _eager(self) -> None:
        mend = wild_text(self.random)
        attributes = {"cause": wild_text(self.random), **({"mend": mend} if mend else {})}
        self.builder.end("eager", self._operands(self.rows["eager"]), attributes, self.location())

    def _branch(self) -> None:
        kind = self.random.choice((Type.BOOL, Type.TEXT))
        labels = {scalar(self.random, kind): None for _ in range(self.random.choice((1, 2, 3)))}
        self.builder.branch(self.value(kind), [*labels], self.location())
        for inner in self.builder.cases.values():
            self.inside(inner).block()


def random_graph(random: Random, level: str = "program") -> Graph:
    """Return a legal graph of one of the levels."""
    writer = _Writer(random, level, BlockBuilder(), depth=random.choice((0, 1, 2, 3)))
    names = random.sample(ARGUMENTS, random.randrange(4))
    arguments = [Value(name, random.choice(VALUE_TYPES)) for name in names]
    writer.values += arguments
    writer.block()
    return make_graph(random.choice(NAMES), arguments, writer.builder, level)


def graphs(level: str = "program") -> st.SearchStrategy[Graph]:
    """Return a Hypothesis strategy of legal graphs of a level."""
    return st.builds(random_graph, st.randoms(use_true_random=False), st.just(level))


def nested(depth: int) -> Graph:
    """Return a graph of branches in branches."""
    flag = Value("flag", Type.BOOL)
    builder = root = BlockBuilder()
    (prompt,) = root.emit("empty", (), (Type.PROMPT,))
    for number in range(depth):
        (prompt,) = builder.emit("append", (prompt, builder.const(f"{number}")), (Type.PROMPT,), hint="p")
        builder.branch(flag, [True, False])
        builder.cases[False].end("return", (prompt,))
        builder = builder.cases[True]
    builder.end("return", (prompt,))
    return make_graph("nested", [flag], root)
