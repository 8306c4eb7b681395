"""Asking an engine to choose, in either way, and what the tree of the choices' tokens is by definition."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from sglc.backend.asking import Origin
from sglc.backend.choices import ChoicesSamplingMethod
from sglc.backend.choosing import Choosing
from sglc.backend.engine import Engine
from sglc.backend.exchange import Exchange
from sglc.backend.prompt import Prompt
from sglc.backend.scoring import Scored, Scoring, begins_text, first_scored, split_before_choices
from sglc.backend.tokenizer import Tokenizer
from sglc.errors import SglcError


class Question(NamedTuple):
    """A choice to be made."""

    prompt: Prompt
    choices: Sequence[str]
    method: ChoicesSamplingMethod


class Told(NamedTuple):
    """All that a choice says."""

    text: str
    meta: dict[str, Any]
    tokens: list[int]


Answer = Told | tuple[type[SglcError], str]


class Hearing:
    """Asks questions of one exchange, and keeps what each is told; nobody is told twice."""

    def __init__(self, exchange: Exchange) -> None:
        self.answers: dict[int, Answer] = {}
        self._exchange = exchange
        self._count = 0

    def ask(self, questions: Sequence[Question], *, as_tree: bool) -> None:
        """Let questions wait to be handed to the engine together."""
        for prompt, choices, method in questions:
            number = self._count
            self._count += 1
            done, failed = partial(self._done, number), partial(self._failed, number)
            kind = partial(Choosing, self._exchange) if as_tree else Scoring
            self._exchange.pending.append(kind(choices, method, prompt, Origin(number, (number,)), done, failed))

    def _done(self, number: int, scored: Scored, base: Prompt) -> None:
        assert number not in self.answers
        self.answers[number] = Told(scored.text, scored.meta, scored.behind(base).tokens.tolist())

    def _failed(self, number: int, error: SglcError) -> None:
        assert number not in self.answers
        self.answers[number] = (type(error), str(error))


def choose(engine: Engine, questions: Sequence[Question], *, as_tree: bool) -> list[Answer]:
    """Return what is said to questions asked together: by a tree of tokens, or by a request for each choice."""
    exchange = Exchange(engine)
    hearing = Hearing(exchange)
    hearing.ask(questions, as_tree=as_tree)
    exchange.submit()
    while exchange.waiting:
        exchange.deliver(exchange.inbox.get())
    return [hearing.answers[number] for number in range(len(questions))]


class Tree(NamedTuple):
    """What choosing has to compute, as sets of token sequences from the beginning of the prompt.

    `prompt` are the beginnings that are wholly inside the text before the choices, `inner` those beyond.
    """

    prompt: set[tuple[int, ...]]
    inner: set[tuple[int, ...]]

    @classmethod
    def of(cls, question: Question, tokenizer: Tokenizer) -> Tree:
        """Return the tree of a question."""
        before, text = split_before_choices(question.prompt)
        at_start = begins_text(before, tokenizer)
        base = before.settled(tokenizer)
        prompt: set[tuple[int, ...]] = set()
        inner: set[tuple[int, ...]] = set()
        for choice in question.choices:
            ids, ends = tokenizer.encode_with_ends(text + choice, at_start=at_start)
            whole = base.extended(ids).tokens.tolist()
            first = len(base.tokens) + first_scored(choice, text, ends)
            prompt |= {tuple(whole[:end]) for end in range(1, first + 1)}
            inner |= {tuple(whole[:end]) for end in range(first + 1, len(whole))}
        return cls(prompt, inner)
