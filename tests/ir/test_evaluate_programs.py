"""A program's graph, evaluated with what its generations said, comes to what the program did."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import sglc
from sglc.backend.decoding import Decoded
from sglc.backend.scoring import Scored
from sglc.commands.program_file import load_program
from sglc.ir.evaluate import Generated, Prompt, evaluate
from sglc.language.choice import Choice
from sglc.language.generation import Generation
from sglc.rows import Signature, read_rows
from tests.test_programs import PROGRAMS, rows_of


class Recorded:
    """A sampler that says again what was said to a program."""

    def __init__(self) -> None:
        self.generations: dict[str, Decoded] = {}
        self.choices: dict[str, Scored] = {}

    def generate(self, prompt: Prompt, site: str, parameters: Mapping[str, Any]) -> Generated:
        """Return what was generated at this site."""
        decoded = self.generations[site]
        several = isinstance(decoded.value, list)
        return Generated(decoded.value if several else [decoded.value], decoded.meta)

    def choose(self, prompt: Prompt, choices: Sequence[str], method: str, site: str) -> tuple[int, Mapping[str, Any]]:
        """Return what was chosen at this site."""
        scored = self.choices[site]
        return choices.index(scored.text), scored.meta


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """What is said to the eager program that runs."""
    sampler = Recorded()

    def noting(table: dict[str, Any], take: Callable[..., None]) -> Callable[..., None]:
        def noted(self: Any, answer: Any, *asked: Any) -> None:
            table[self._site] = answer
            take(self, answer, *asked)

        return noted

    monkeypatch.setattr(Generation, "_take", noting(sampler.generations, Generation._take))
    monkeypatch.setattr(Choice, "_take", noting(sampler.choices, Choice._take))
    return sampler


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[sglc.Engine]:
    """The replay model with chat turns."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    with contextlib.closing(sglc.Engine("replay:hash", chat_template="chatml")) as engine:
        yield engine


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_the_graph_means_the_program(path: Path, engine: sglc.Engine, recorded: Recorded) -> None:
    program = load_program(str(path)).function
    signature = Signature(tuple(program.arg_names), frozenset(program.required))
    for row in read_rows(rows_of(path), signature):
        recorded.generations.clear()
        recorded.choices.clear()
        state = program.run(**row.fields, backend=engine, eager=True)
        capture = program.trace(**row.fields)
        outcome = evaluate(capture.graph, row.fields, recorded, functions=capture.functions)
        if outcome.left is not None:
            assert outcome.left in {each.cause for each in capture.breaks}
            continue
        assert dict(outcome.variables) == state.variables()
        assert [*outcome.variables] == [*state.variables()]
        assert outcome.messages == state.messages()
        assert outcome.returned == state.ret_value
        if not outcome.messages:  # a chat template's own text is known to an engine only
            assert outcome.text == state.text()
