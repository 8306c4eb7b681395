"""Random programs full of what passes look for: duplicates, constants, empty texts, greedy requests, dead branches."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from sglc.ir.graph import Block, Case, Graph, Op, Value, canonical
from sglc.ir.types import Type
from sglc.ir.verifier import verify

ARGUMENTS = {"question": Type.TEXT, "deep": Type.BOOL, "count": Type.INT, "words": Type.TEXTS, "thing": Type.VALUE}

_TEXTS = ("", "", "a", "yes", "Q: ", "\n", " ")
_ROLES = ("user", "assistant")
_TEMPERATURES: Sequence[dict[str, Any]] = ({}, {"temperature": 0}, {"temperature": 0}, {"temperature": 0.7})
_LIMITS: Sequence[dict[str, Any]] = ({}, {}, {"max_new_tokens": 8}, {"stop": "\n"}, {"seed": 3})
_FUNCTIONS: Sequence[tuple[str, Sequence[Type], Type]] = (
    ("str.upper", (Type.TEXT,), Type.TEXT),
    ("str.strip", (Type.TEXT,), Type.TEXT),
    ("str", (Type.TEXT,), Type.TEXT),
    ("as_text", (Type.TEXT,), Type.TEXT),
    ("as_text", (Type.VALUE,), Type.TEXT),
    ("same", (Type.TEXT,), Type.TEXT),
    ("add", (Type.TEXT, Type.TEXT), Type.TEXT),
    ("mul", (Type.TEXT, Type.INT), Type.TEXT),
    ("getitem", (Type.TEXT, Type.INT), Type.TEXT),
    ("getitem", (Type.TEXTS, Type.INT), Type.TEXT),
    ("str.split", (Type.TEXT,), Type.TEXTS),
    ("len", (Type.TEXT,), Type.INT),
    ("int", (Type.TEXT,), Type.INT),
    ("eq", (Type.TEXT, Type.TEXT), Type.BOOL),
    ("ne", (Type.INT, Type.INT), Type.BOOL),
    ("contains", (Type.TEXT, Type.TEXT), Type.BOOL),
    ("not", (Type.BOOL,), Type.BOOL),
    ("is_none", (Type.VALUE,), Type.BOOL),
    ("json.loads", (Type.TEXT,), Type.VALUE),
)
_STEPS = {
    "const": 3,
    "concat": 4,
    "append": 10,
    "known": 2,
    "again": 10,
    "sections": 1,
    "begin": 3,
    "end": 1,
    "rest": 1,
    "pin": 1,
    "gen": 10,
    "select": 2,
    "report": 2,
    "apply": 6,
    "text": 2,
    "since": 4,
    "messages": 1,
    "collect": 2,
    "state": 1,
    "call": 1,
}
"""Kind of step → how often it is taken. `again` writes an earlier operation anew, a request at a site of its own."""


class _Writer:
    """Writes one block and those inside it; it knows the values that can be seen there."""

    def __init__(self, random: Random, depth: int) -> None:
        self.random = random
        self.depth = depth
        self.ops: list[Op] = []
        self.seen: list[Op] = []
        self.values: list[Value] = []
        self.before: dict[Value, Value] = {}  # a prompt → the one that it goes on from
        self.sites = 0
        self.calls = 0

    def inside(self) -> _Writer:
        """Return a writer of a case."""
        inner = _Writer(self.random, self.depth - 1)
        inner.seen, inner.values, inner.before = [*self.seen], [*self.values], {**self.before}
        inner.sites, inner.calls = self.sites, self.calls
        return inner

    def block(self) -> Block:
        """Write operations and an end."""
        steps = self.random.choices([*_STEPS], [*_STEPS.values()], k=self.random.choice((2, 5, 9)))
        for step in steps:
            getattr(self, f"_{step}")()
        ends = ["return"] * 5 + ["eager"] + ["branch"] * (6 if self.depth else 0)
        getattr(self, f"_{self.random.choice(ends)}")()
        return tuple(self.ops)

    def emit(self, name: str, operands: Sequence[Value], types: Sequence[Type], **attributes: Any) -> tuple[Value, ...]:
        """Write an operation, whether there is an equal one or not."""
        results = tuple(Value(f"v{len(self.before)}_{len(self.values)}_{i}", kind) for i, kind in enumerate(types))
        op = Op(name, tuple(operands), results, attributes)
        self.ops.append(op)
        self.seen.append(op)
        self.values += results
        if Type.PROMPT in types and operands:
            self.before[results[0]] = operands[0]
        return results

    def value(self, kind: Type) -> Value:
        """Return a value that can stand for `kind`; among prompts, the last ones most often."""
        known = [value for value in self.values if kind.accepts(value.type)]
        if kind is Type.PROMPT:
            known = known[-4:]
        if known and self.random.random() < 0.85:
            return self.random.choice(known)
        if kind is Type.PROMPT:
            return self.emit("empty", (), (kind,))[0]
        constants: dict[Type, Sequence[Any]] = {Type.INT: (0, 1, 7), Type.BOOL: (True, False)}
        if kind is Type.TEXTS:
            return self.emit("apply", (self.value(Type.TEXT),), (kind,), fn="str.split")[0]
        exact = kind if kind in constants else Type.TEXT
        return self.emit("const", (), (exact,), value=self.random.choice(constants.get(exact, _TEXTS)))[0]

    def texts(self, *counts: int) -> list[Value]:
        """Return some texts, many of them constants."""
        count = self.random.choice(counts)
        return [self._const() if self.random.random() < 0.4 else self.value(Type.TEXT) for _ in range(count)]

    def site(self) -> str:
        """Return a site of its own."""
        self.sites += 1
        return f":{self.sites}"

    def _const(self) -> Value:
        return self.emit("const", (), (Type.TEXT,), value=self.random.choice(_TEXTS))[0]

    def _concat(self) -> None:
        self.emit("concat", self.texts(0, 1, 2, 2, 3), (Type.TEXT,))

    def _append(self) -> None:
        prompt = self.value(Type.PROMPT)
        for text in self.texts(1, 1, 2, 3):
            prompt = self.emit("append", (prompt, text), (Type.PROMPT,))[0]

    def _known(self) -> None:
        prompt = start = self.value(Type.PROMPT)
        for _ in range(3):
            prompt = self.emit("append", (prompt, self._const()), (Type.PROMPT,))[0]
        self.emit("since", (start, prompt), (Type.TEXT,))
        self.emit("text", (prompt,), (Type.TEXT,))

    def _again(self) -> None:
        if not self.seen:
            return
        op = self.random.choice(self.seen[-12:])
        attributes = dict(op.attributes)
        if "site" in attributes:
            attributes["site"] = self.site()
        if op.name == "gen" and self.random.random() < 0.3:
            attributes |= self.random.choice(({"stop": "a"}, {"max_new_tokens": 9}, {"temperature": 0.7}))
        if op.name == "call":
            attributes["number"] = self.calls
            self.calls += 1
        self.emit(op.name, op.operands, [result.type for result in op.results], **attributes)

    def _sections(self) -> None:
        self.emit("sections", (self.value(Type.PROMPT), *self.texts(0, 2)), (Type.PROMPT,))

    def _begin(self) -> None:
        (prompt,) = self.emit("begin", (self.value(Type.PROMPT),), (Type.PROMPT,), role=self.random.choice(_ROLES))
        if self.random.random() < 0.5:
            self.emit("append", (prompt, self.value(Type.TEXT)), (Type.PROMPT,))

    def _end(self) -> None:
        self.emit("end", (self.value(Type.PROMPT),), (Type.PROMPT,), role=self.random.choice(_ROLES))

    def _rest(self) -> None:
        self.emit("rest", (self.value(Type.PROMPT),), (Type.PROMPT,))

    def _pin(self) -> None:
        self.emit("pin", (self.value(Type.PROMPT),), (Type.PROMPT,))

    def _gen(self) -> None:
        prompt = self.value(Type.PROMPT)
        several = self.random.random() < 0.1
        attributes = {**self.random.choice(_TEMPERATURES), **self.random.choice(_LIMITS)}
        if several:
            attributes["n"] = 2
        if self.random.random() < 0.1:
            attributes["reasoning"] = "deepseek-r1"
        kind = Type.TEXTS if several else Type.TEXT
        self.emit("gen", (prompt,), (Type.PROMPT, kind), site=self.site(), **attributes)

    def _select(self) -> None:
        choices = [self.emit("const", (), (Type.TEXT,), value=label)[0] for label in ("yes", "no")]
        if self.random.random() < 0.2:
            choices = self.texts(1, 2)
        self.emit("select", (self.value(Type.PROMPT), *choices), (Type.PROMPT, Type.TEXT), site=self.site())

    def _report(self) -> None:
        asked = [op for op in self.seen if op.name in ("gen", "select")]
        if not asked:
            return
        op = self.random.choice(asked)
        answer = op.results[1]
        if "reasoning" in op.attributes:
            self.emit("thoughts", (answer,), (answer.type,))
        self.emit("meta", (answer,), (Type.DICT,))

    def _apply(self) -> None:
        function, kinds, result = self.random.choice(_FUNCTIONS)
        self.emit("apply", [self.value(kind) for kind in kinds], (result,), fn=function)

    def _text(self) -> None:
        self.emit("text", (self.value(Type.PROMPT),), (Type.TEXT,))

    def _since(self) -> None:
        later = earlier = self.value(Type.PROMPT)
        while earlier in self.before and self.random.random() < 0.8:
            earlier = self.before[earlier]
        self.emit("since", (earlier, later), (Type.TEXT,))

    def _messages(self) -> None:
        self.emit("messages", (self.value(Type.PROMPT),), (Type.LIST,))

    def _collect(self) -> None:
        name, kind = self.random.choice((("list", Type.LIST), ("tuple", Type.TUPLE), ("dict", Type.DICT)))
        self.emit(name, [self.value(Type.VALUE) for _ in range(2)], (kind,))

    def _state(self) -> None:
        self.emit("state", (self.value(Type.PROMPT), self.value(Type.VALUE)), (Type.VALUE,), names=("x",))

    def _call(self) -> None:
        self.emit("call", (self.value(Type.VALUE),), (Type.VALUE,), fn="notes:read", number=self.calls)
        self.calls += 1

    def _return(self) -> None:
        values = [value for value in self.values if value.type is not Type.PROMPT]
        values = values[-self.random.choice((3, 12, 40)) :]
        self.random.shuffle(values)
        values = values[: self.random.choice((0, 4, 12))]
        names = tuple(f"out{i}" for i in range(len(values)))
        attributes: dict[str, Any] = {"names": names} if names else {}
        operands = [self.value(Type.PROMPT)]
        if self.random.random() < 0.3:
            attributes["returns"] = True
            operands.append(self.value(Type.VALUE))
        self.ops.append(Op("return", (*operands, *values), (), attributes))

    def _eager(self) -> None:
        self.ops.append(Op("eager", (), (), {"cause": "asks again"}))

    def _branch(self) -> None:
        chosen = [op.results[1] for op in self.seen if op.name == "select"]
        kind = self.random.choice((Type.BOOL, Type.BOOL, Type.TEXT))
        value = self.random.choice(chosen) if chosen and kind is Type.TEXT else self.value(kind)
        labels: Sequence[bool | str] = (True, False) if kind is Type.BOOL else ("yes", "no", *_TEXTS[1:3])
        if self.random.random() < 0.3:
            labels = labels[: self.random.choice((1, 2, 4))]
        cases = tuple(Case(label, self.inside().block()) for label in labels)
        if self.random.random() < 0.3:  # all cases end alike
            prompt, answer = self.value(Type.PROMPT), self.value(Type.TEXT)
            ends = [Op("return", (prompt, answer), (), {"names": ("out0",)}) for _ in labels]
            cases = tuple(Case(label, (end,)) for label, end in zip(labels, ends, strict=True))
        self.ops.append(Op("branch", (value,), cases=cases))


def random_program(random: Random) -> Graph:
    """Return a legal program, not all of whose equal operations are one."""
    writer = _Writer(random, depth=random.choice((0, 1, 1, 2)))
    arguments = tuple(Value(name, kind) for name, kind in ARGUMENTS.items())
    writer.values += arguments
    graph = canonical(Graph("f", arguments, writer.block()))
    verify(graph)
    return graph
