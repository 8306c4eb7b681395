"""Graphs of three kinds of program, for the tests of analyses and drawings."""

from __future__ import annotations

from sglc.errors import Location
from sglc.ir.graph import BlockBuilder, Graph, Value, make_graph
from sglc.ir.types import Type

FILE = "programs/sample.py"


class Writer:
    """Writes a program's operations line by line, as a tracer would."""

    def __init__(self, builder: BlockBuilder, line: int = 10) -> None:
        self.builder = builder
        self.line = line

    @property
    def location(self) -> Location:
        """Where the next operation is written."""
        return Location(FILE, self.line)

    def const(self, value: object) -> Value:
        """Return a constant."""
        return self.builder.const(value, self.location)

    def empty(self) -> Value:
        """Return the empty prompt."""
        return self.builder.emit("empty", (), (Type.PROMPT,), location=self.location)[0]

    def append(self, prompt: Value, *texts: Value | str) -> Value:
        """Return a prompt with texts behind it."""
        for text in texts:
            value = self.const(text) if isinstance(text, str) else text
            (prompt,) = self.builder.emit("append", (prompt, value), (Type.PROMPT,), hint="p", location=self.location)
        return prompt

    def gen(self, prompt: Value, name: str, site: str, **parameters: object) -> tuple[Value, Value]:
        """Return a prompt that goes on with a generation, and its text."""
        attributes = {"site": site, **parameters}
        after, text = self.builder.emit(
            "gen", (prompt,), (Type.PROMPT, Type.TEXT), attributes, hint=name, location=self.location
        )
        return after, text

    def select(self, prompt: Value, name: str, site: str, choices: list[str]) -> tuple[Value, Value]:
        """Return a prompt that goes on with a choice, and that choice."""
        operands = (prompt, *map(self.const, choices))
        after, text = self.builder.emit(
            "select", operands, (Type.PROMPT, Type.TEXT), {"site": site}, hint=name, location=self.location
        )
        return after, text

    def apply(self, fn: str, kind: Type, *operands: Value) -> Value:
        """Return what a pure function computes."""
        return self.builder.emit("apply", operands, (kind,), {"fn": fn}, location=self.location)[0]

    def call(self, fn: str, number: int, *operands: Value) -> Value:
        """Return what a host function returns."""
        attributes = {"fn": fn, "number": number}
        return self.builder.emit("call", operands, (Type.VALUE,), attributes, location=self.location)[0]

    def end(self, prompt: Value, **variables: Value) -> None:
        """Return from the program."""
        attributes = {"names": tuple(variables)} if variables else {}
        self.builder.end("return", (prompt, *variables.values()), attributes, self.location)


def linear() -> Graph:
    """Return a question and its answer."""
    question = Value("question", Type.TEXT)
    builder = BlockBuilder()
    w = Writer(builder)
    p = w.append(w.empty(), "Answer in one line.\n\nQ: ", question, "\nA:")
    w.line += 1
    p, answer = w.gen(p, "answer", "0", max_new_tokens=32, stop=("\n",))
    w.end(p, answer=answer)
    return make_graph("qa", (question,), builder)


def judge(sides: int = 3) -> Graph:
    """Return an essay judged from several sides, each in a fork, and a grade."""
    essay = Value("essay", Type.TEXT)
    builder = BlockBuilder()
    w = Writer(builder)
    p = w.append(w.empty(), "You judge essays fairly and in few words.\n\nEssay:\n", essay, "\n\n")
    remarks = []
    names = ["clarity", "evidence", "structure", *(f"side {i}" for i in range(sides))][:sides]
    for i, side in enumerate(names):
        w.line = 14
        fork = w.append(p, f"Look only at {side}. Does it help the argument?\nRemark:")
        w.line = 15
        remarks.append(w.gen(fork, "remark", f"/0.{i}:0", max_new_tokens=24, stop=("\n",))[1])
    w.line = 18
    p = w.append(p, "Remarks of the judges:\n")
    for side, remark in zip(names, remarks, strict=True):
        w.line = 20
        p = w.append(p, f"- {side}:", w.apply("str.strip", Type.TEXT, remark), "\n")
    w.line = 21
    p = w.append(p, "Grade from 1 to 5: ")
    p, grade = w.select(p, "grade", "0", ["1", "2", "3", "4", "5"])
    (listed,) = builder.emit("list", remarks, (Type.LIST,), hint="remark", location=w.location)
    w.end(p, remark=listed, grade=grade)
    return make_graph("judge", (essay,), builder)


def react(rounds: int = 3) -> Graph:
    """Return a loop of thoughts and look-ups, unrolled: each round ends in a branch, the last one leaves the graph."""
    question = Value("question", Type.TEXT)
    root = builder = BlockBuilder()
    w = Writer(builder)
    p = w.append(w.empty(), "Answer with the help of a notebook.\n\nQuestion: ", question, "\n")
    variables: dict[str, Value] = {}
    for turn in range(rounds):
        w.line = 12
        p, variables[f"thought_{turn}"] = w.gen(
            w.append(p, "Thought:"), f"thought_{turn}", f":{2 * turn}", max_new_tokens=24, stop=("\n",)
        )
        w.line = 13
        p, action = w.select(w.append(p, "\nAction: "), "action", f":{2 * turn + 1}", ["look up", "answer"])
        variables["action"] = action
        w.line = 14
        w.builder.branch(w.apply("eq", Type.BOOL, action, w.const("answer")), [True, False], w.location)
        w.builder = w.builder.cases[True]
        w.line = 18
        after, answer = w.gen(w.append(p, "\nAnswer:"), "answer", f":{2 * turn + 2}", max_new_tokens=24, stop=("\n",))
        w.end(after, **variables, answer=answer)
        w.builder = w.builder.around.cases[False]  # type: ignore[union-attr]
        w.line = 16
        p, query = w.gen(w.append(p, "\nQuery:"), "query", f":{2 * turn + 3}", max_new_tokens=12, stop=("\n",))
        w.line = 17
        p = w.append(p, "\nNotebook: ", w.apply("as_text", Type.TEXT, w.call("look_up", turn, query)), "\n")
    w.builder.end(
        "eager",
        (),
        {"cause": "the loop goes on while a generated text says so", "mend": "bound it: for turn in range(8)"},
        w.location,
    )
    return make_graph("travel_agent", (question,), root)
