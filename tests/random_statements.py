"""The statements of random programs: values that run themselves on the state of a real program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import sglc
from sglc.language.state import ProgramState

Log = list[tuple[Any, ...]]


class Node:
    """A statement of a random program."""

    def run(self, s: ProgramState, log: Log) -> None:
        """Do it to a state; note in `log` what was read and which way was gone."""
        raise NotImplementedError


Block = tuple[Node, ...]


def run_block(block: Block, s: ProgramState, log: Log) -> None:
    """Run statements in order."""
    for node in block:
        node.run(s, log)


def as_text(value: Any) -> str:
    """Return a variable as text: samples and joined branches are lists."""
    return "|".join(map(as_text, value)) if isinstance(value, list) else value


@dataclass(frozen=True)
class Question:
    """A question about a generated text; `word` None asks for its length's parity."""

    word: str | None

    def __call__(self, text: str) -> bool:
        return len(text) % 2 == 0 if self.word is None else self.word in text


@dataclass(frozen=True)
class Say(Node):
    """Text."""

    text: str

    def run(self, s: ProgramState, log: Log) -> None:
        s += self.text


@dataclass(frozen=True)
class Generate(Node):
    """A generation; what it said and why it ended is read now, or never."""

    name: str
    options: dict[str, Any]
    read: bool

    def run(self, s: ProgramState, log: Log) -> None:
        s += sglc.gen(self.name, **self.options)
        if self.read:
            meta = s.get_meta_info(self.name)
            finish = meta["finish_reason"]["type"]
            log.append(("generated", self.name, s[self.name], meta["prompt_tokens"], meta["completion_tokens"]))
            log.append(("finish", "stops" if {"stop", "stop_regex"} & {*self.options} else "none", finish))


@dataclass(frozen=True)
class Choose(Node):
    """A choice; with arms, the program goes on with that of the chosen text."""

    name: str
    choices: tuple[str, ...]
    method: Any
    arms: tuple[Block, ...] = ()

    def run(self, s: ProgramState, log: Log) -> None:
        s += sglc.select(self.name, choices=list(self.choices), choices_method=self.method)
        if self.arms:
            at = self.choices.index(s[self.name])
            log.append(("arm", f"choice of {len(self.choices)}", at))
            run_block(self.arms[at], s, log)


@dataclass(frozen=True)
class Repeat(Node):
    """A variable said again."""

    name: str
    tool: bool = False

    def run(self, s: ProgramState, log: Log) -> None:
        text = as_text(s[self.name])
        s += sglc.call(str.upper, text) if self.tool else text


@dataclass(frozen=True)
class When(Node):
    """A branch on a variable's text."""

    name: str
    test: Question
    arms: tuple[Block, Block]

    def run(self, s: ProgramState, log: Log) -> None:
        at = int(self.test(as_text(s[self.name])))
        log.append(("arm", "word" if self.test.word else "parity", at))
        run_block(self.arms[at], s, log)


@dataclass(frozen=True)
class Loop(Node):
    """Turns that end early when a variable's text says so."""

    turns: int
    body: Block
    name: str
    until: Question

    def run(self, s: ProgramState, log: Log) -> None:
        for _ in range(self.turns):
            run_block(self.body, s, log)
            over = self.until(as_text(s[self.name]))
            log.append(("arm", "break", int(over)))
            if over:
                break


@dataclass(frozen=True)
class Split(Node):
    """A fork, joined in a way or not at all."""

    branches: tuple[Block, ...]
    join: str | None

    def run(self, s: ProgramState, log: Log) -> None:
        forks = s.fork(len(self.branches))
        forks += lambda i: f"<{i}>"
        for fork, branch in zip(forks, self.branches, strict=True):
            run_block(branch, fork, log)
        if self.join is not None:
            forks.join(self.join)


@dataclass(frozen=True)
class Scratch(Node):
    """A copy that is thrown away; its variables come back."""

    body: Block

    def run(self, s: ProgramState, log: Log) -> None:
        with s.copy() as scratch:
            run_block(self.body, scratch, log)


@dataclass(frozen=True)
class Scope(Node):
    """A variable made of all that is appended inside."""

    name: str
    body: Block

    def run(self, s: ProgramState, log: Log) -> None:
        with s.var_scope(self.name):
            run_block(self.body, s, log)


@dataclass(frozen=True)
class Message(Node):
    """A message of a conversation."""

    role: str
    body: Block

    def run(self, s: ProgramState, log: Log) -> None:
        with getattr(s, self.role)():
            run_block(self.body, s, log)


@dataclass(frozen=True)
class Nested(Node):
    """A program called inside another; its text is said here if asked."""

    body: Block
    sampling: dict[str, Any]
    said: bool

    def run(self, s: ProgramState, log: Log) -> None:
        inner = block_program(self.body, log, **self.sampling)
        if self.said:
            s += inner.text()


@dataclass(frozen=True)
class Fail(Node):
    """A defect of the host program."""

    def run(self, s: ProgramState, log: Log) -> None:
        raise ValueError("a planted failure")


@sglc.function
def block_program(s: ProgramState, block: Block, log: Log) -> None:
    run_block(block, s, log)


Outcome = dict[str, Any]


def outcome(state: ProgramState) -> Outcome:
    """Return all that a run said: of each of its prompts the very tokens, and what the program saw of them."""
    states = [
        {
            "text": "".join(each.pieces),
            "tokens": each.prompt.tokens.tolist(),
            "tail": each.prompt.tail,
            "variables": each.variables(),
            "finish": each.finish(),
        }
        for each in state.row.states
    ]
    return {"error": repr(state.error), "states": states, "log": state.ret_value}


def ways(outcomes: list[Outcome]) -> dict[str, Counter[Any]]:
    """Return how often each kind of branch went which way, and how generations that could meet a stop ended."""
    found: dict[str, Counter[Any]] = {}
    for each in outcomes:
        for entry in each["log"] or ():
            if entry[0] in ("arm", "finish"):
                found.setdefault(" ".join(map(str, entry[:-1])), Counter())[entry[-1]] += 1
    return found
