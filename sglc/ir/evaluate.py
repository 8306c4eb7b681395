"""The meaning of a graph, computed step by step over any sampler: no engine, no tokenizer, no other optimization."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sglc.errors import SglcError
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import Block, Graph, Op, Value
from sglc.ir.types import Type


class EvaluationError(SglcError):
    """A graph that cannot be evaluated: a missing argument, a value without a case, a function nobody gave."""


class Piece(NamedTuple):
    """A part of a prompt: `kind` is text, generated, chosen, begin, end or rest; marks hold their role in `text`."""

    kind: str
    text: str = ""


_MARKS = ("begin", "end")
_SPOKEN = ("text", "generated", "chosen")


@dataclass(frozen=True, slots=True)
class Prompt:
    """An immutable prompt. Two are equal if an engine cannot tell them apart: adjacent ordinary texts are one piece.

    Behind a mark the chat template's text waits to see what follows, so there an empty text counts, and so does
    `rest`, with which nothing follows; everywhere else both change nothing.
    """

    pieces: tuple[Piece, ...] = ()

    def append(self, text: str) -> Prompt:
        """Return this prompt with ordinary text behind it."""
        last = self.pieces[-1] if self.pieces else None
        if last is not None and last.kind == "text":
            return Prompt((*self.pieces[:-1], Piece("text", last.text + text)))
        if not text and (last is None or last.kind not in _MARKS):
            return self
        return self.extended("text", text)

    def rest(self) -> Prompt:
        """Return this prompt with its template text written, as if nothing followed."""
        return self.extended("rest") if self.pieces and self.pieces[-1].kind in _MARKS else self

    def extended(self, kind: str, text: str = "") -> Prompt:
        """Return this prompt with a piece behind it that stays one by itself."""
        return Prompt((*self.pieces, Piece(kind, text)))

    @property
    def text(self) -> str:
        """All that was said; a chat template's own text is not known here."""
        return "".join(piece.text for piece in self.pieces if piece.kind in _SPOKEN)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The finished messages, as dicts of role and content; a content has no space in front."""
        found: list[dict[str, str]] = []
        content: list[str] = []
        for piece in self.pieces:
            if piece.kind == "begin":
                content = []
            elif piece.kind == "end":
                found.append({"role": piece.text, "content": "".join(content).lstrip()})
            else:
                content.append(piece.text)
        return found


class Generated(NamedTuple):
    """What a sampler generated: `n` texts, what it reports of them, and their thoughts where they were asked for."""

    texts: Sequence[str]
    meta: Mapping[str, Any] = {}
    thoughts: Sequence[str] = ()


class Sampler(Protocol):
    """What answers in a model's place."""

    def generate(self, prompt: Prompt, site: str, parameters: Mapping[str, Any]) -> Generated:
        """Return the samples' texts; `parameters` are the attributes that the `gen` has, the rest are the run's."""

    def choose(self, prompt: Prompt, choices: Sequence[str], method: str, site: str) -> tuple[int, Mapping[str, Any]]:
        """Return which choice is taken, and what is reported of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a graph ended: in `return`, or in `eager`, whose cause is then `left`; `prompt` is None there."""

    prompt: Prompt | None
    returned: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    left: str | None = None

    @property
    def text(self) -> str:
        """The whole text, "" where the graph was left."""
        return "" if self.prompt is None else self.prompt.text

    @property
    def messages(self) -> list[dict[str, str]]:
        """The finished messages, none where the graph was left."""
        return [] if self.prompt is None else self.prompt.messages


@dataclass(slots=True)
class Run:
    """One evaluation on its way: the values so far, what was reported of generations, and what comes next."""

    sampler: Sampler
    functions: Mapping[str, Callable[..., Any]]
    values: dict[Value, Any]
    metas: dict[Value, Mapping[str, Any]] = field(default_factory=dict)
    thoughts: dict[Value, Any] = field(default_factory=dict)
    following: Block | None = None
    outcome: Outcome | None = None

    def operands(self, op: Op) -> list[Any]:
        """Return the values of an operation's operands."""
        return [self.values[value] for value in op.operands]


def evaluate(
    graph: Graph,
    arguments: Mapping[str, Any],
    sampler: Sampler,
    *,
    functions: Mapping[str, Callable[..., Any]] = {},
) -> Outcome:
    """Return what a verified graph of programs comes to. `functions` are the ones that `call` names.

    Raises EvaluationError for what is missing, and what a function raises as it is, with a note of the operation.
    """
    missing = [value.name for value in graph.arguments if value.name not in arguments]
    if graph.level != "program" or missing:
        found = f"no argument {', '.join(missing)}" if missing else f"a {graph.level}"
        raise EvaluationError(f"@{graph.name}: found {found}; wanted a program and all its arguments")
    run = Run(sampler, functions, {value: arguments[value.name] for value in graph.arguments})
    block: Block | None = graph.block
    while block is not None:
        run.following = None
        for op in block:
            results = EVALUATORS[op.name](run, op)
            run.values.update(zip(op.results, results, strict=True))
        block = run.following
    assert run.outcome is not None  # a verified block ends in one of the three
    return run.outcome


Results = tuple[Any, ...]


def _dict(run: Run, op: Op) -> Results:
    items = run.operands(op)
    return (dict(zip(items[::2], items[1::2], strict=True)),)


def _append(run: Run, op: Op) -> Results:
    prompt, *texts = run.operands(op)
    for text in texts:
        prompt = prompt.append(text)
    return (prompt,)


def _mark(run: Run, op: Op) -> Results:
    (prompt,) = run.operands(op)
    return (prompt.extended(op.name, op.attributes["role"]),)


def _gen(run: Run, op: Op) -> Results:
    (prompt,) = run.operands(op)
    parameters = {name: value for name, value in op.attributes.items() if name != "site"}
    value = op.results[1]
    several = value.type is Type.TEXTS
    generated = run.sampler.generate(prompt, op.attributes["site"], parameters)
    texts, thoughts = list(generated.texts), list(generated.thoughts)
    count = parameters.get("n") or (max(len(texts), 2) if several else 1)
    if len(texts) != count:
        raise _refusal(op, f"{len(texts)} texts of a sampler; wanted {count}")
    run.metas[value] = generated.meta
    if parameters.get("reasoning") is not None:
        if len(thoughts) != count:
            raise _refusal(op, f"{len(thoughts)} thoughts of a sampler; wanted {count}")
        run.thoughts[value] = thoughts if several else thoughts[0]
        prompt = prompt.append(texts[0])  # the thoughts before it leave the prompt, so it is ordinary text from now on
    else:
        prompt = prompt.extended("generated", texts[0])
    return prompt, texts if several else texts[0]


def _select(run: Run, op: Op) -> Results:
    prompt, *choices = run.operands(op)
    method = op.attributes.get("method", "token_length_normalized")
    index, meta = run.sampler.choose(prompt, choices, method, op.attributes["site"])
    if index not in range(len(choices)):
        raise _refusal(op, f"the choice {index} of a sampler; wanted one of {len(choices)}")
    run.metas[op.results[1]] = meta
    return prompt.extended("chosen", choices[index]), choices[index]


def _compute(run: Run, op: Op, function: Callable[..., Any]) -> Results:
    operands = run.operands(op)
    keywords = op.attributes.get("keywords", ())
    positional = len(operands) - len(keywords)
    try:
        return (function(*operands[:positional], **dict(zip(keywords, operands[positional:], strict=True))),)
    except Exception as error:
        error.add_note(f"in {op.name} {op.attributes['fn']}" + (f", {op.location}" if op.location else ""))
        raise


def _apply(run: Run, op: Op) -> Results:
    return _compute(run, op, FUNCTIONS[op.attributes["fn"]].compute)


def _call(run: Run, op: Op) -> Results:
    name = op.attributes["fn"]
    if name not in run.functions:
        raise _refusal(op, f"no function {name!r}; wanted it among the functions given")
    return _compute(run, op, run.functions[name])


def _since(run: Run, op: Op) -> Results:
    earlier, later = run.operands(op)
    return (later.text[len(earlier.text) :],)


def _branch(run: Run, op: Op) -> Results:
    (value,) = run.operands(op)
    for case in op.cases:
        if type(case.label) is type(value) and case.label == value:
            run.following = case.block
            return ()
    raise _refusal(op, f"{value!r}; wanted one of the cases {', '.join(repr(case.label) for case in op.cases)}")


def _return(run: Run, op: Op) -> Results:
    prompt, *values = run.operands(op)
    returned = values.pop(0) if op.attributes.get("returns", False) else None
    run.outcome = Outcome(prompt, returned, dict(zip(op.attributes.get("names", ()), values, strict=True)))
    return ()


def _eager(run: Run, op: Op) -> Results:
    run.outcome = Outcome(None, left=op.attributes["cause"])
    return ()


def _state(run: Run, op: Op) -> Results:
    prompt, *values = run.operands(op)
    return (Outcome(prompt, None, dict(zip(op.attributes.get("names", ()), values, strict=True))),)


def _refusal(op: Op, found: str) -> EvaluationError:
    return EvaluationError(f"{op.name}: found {found}", op.location)


EVALUATORS: Mapping[str, Callable[[Run, Op], Results]] = {
    "const": lambda run, op: (op.attributes["value"],),
    "concat": lambda run, op: ("".join(run.operands(op)),),
    "list": lambda run, op: (run.operands(op),),
    "tuple": lambda run, op: (tuple(run.operands(op)),),
    "dict": _dict,
    "apply": _apply,
    "call": _call,
    "text": lambda run, op: (run.operands(op)[0].text,),
    "since": _since,
    "messages": lambda run, op: (run.operands(op)[0].messages,),
    "meta": lambda run, op: (dict(run.metas[op.operands[0]]),),
    "thoughts": lambda run, op: (run.thoughts[op.operands[0]],),
    "state": _state,
    "group": lambda run, op: (run.operands(op),),
    "branch": _branch,
    "return": _return,
    "eager": _eager,
    "empty": lambda run, op: (Prompt(),),
    "append": _append,
    "sections": _append,
    "begin": _mark,
    "end": _mark,
    "rest": lambda run, op: (run.operands(op)[0].rest(),),
    "pin": lambda run, op: (run.operands(op)[0],),
    "gen": _gen,
    "select": _select,
}
"""Operation → what it does to a run; returns the operation's results."""
