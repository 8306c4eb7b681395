"""What graphs mean, compared: over a sampler that says the same whenever it is asked the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from sglc.ir.evaluate import Generated, Outcome, Prompt, evaluate
from sglc.ir.graph import Graph, Value
from sglc.ir.sampling import PARAMETER_NAMES, SamplingParams
from sglc.ir.types import Type
from sglc.passes.base import Pass, Target
from sglc.passes.eliminate_dead import EliminateDead

WORDS = ("", "yes", "no", "a", "b", " ", "x y", "Yes\n", "7", "é", "🎉")
"""What rows and samplers say: labels of branches, and texts that are awkward to put together."""


@dataclass(slots=True)
class HashSampler:
    """Says what the hash of its question is. Where something is drawn, the site is a part of the question.

    `asked` is what it was asked at each site and what it said.
    """

    params: SamplingParams
    asked: dict[tuple[str, str], Any] = field(default_factory=dict)

    def generate(self, prompt: Prompt, site: str, parameters: Mapping[str, Any]) -> Generated:
        """Return texts of a few words."""
        given = {name: value for name, value in parameters.items() if name in PARAMETER_NAMES}
        params = self.params.override(given)
        others = sorted((name, value) for name, value in parameters.items() if name not in PARAMETER_NAMES)
        question = (prompt, params, others, "" if params.greedy else site)
        draw = Random(_digest(question))
        texts = [draw.choice(WORDS) for _ in range(params.n)]
        thoughts = [f"{draw.choice(WORDS)}?" for _ in texts] if "reasoning" in parameters else []
        self.asked["gen", site] = question, texts
        return Generated(texts, {"of": _digest(question)}, thoughts)

    def choose(self, prompt: Prompt, choices: Sequence[str], method: str, site: str) -> tuple[int, Mapping[str, Any]]:
        """Return one of the choices. Raises ValueError for a choice that is empty, as an engine does."""
        if not choices or not all(choices):
            raise ValueError(f"found the choices {[*choices]}; wanted non-empty texts")
        question = (prompt, tuple(choices), method)
        index = Random(_digest(question)).randrange(len(choices))
        self.asked["select", site] = question, index
        return index, {"of": _digest(question)}


def _digest(question: Any) -> str:
    return hashlib.sha256(repr(question).encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a graph comes to for a row: its outcome or its error, what it asked and which host functions it called."""

    outcome: Outcome | None
    error: str | None
    asked: Mapping[tuple[str, str], Any]
    calls: Sequence[str]


def meaning(graph: Graph, row: Mapping[str, Any], params: SamplingParams) -> Meaning:
    """Return what a program comes to."""
    sampler = HashSampler(params)
    calls: list[str] = []

    def host(name: str) -> Callable[..., Any]:
        def function(*given: Any, **named: Any) -> Any:
            calls.append(f"{name}{given}{named}")
            return Random(calls[-1]).choice((*WORDS, 1, None, ["a", "b"]))

        return function

    functions = {op.attributes["fn"]: host(op.attributes["fn"]) for op in graph.ops() if op.name == "call"}
    try:
        outcome = evaluate(graph, row, sampler, functions=functions)
    except Exception as error:
        return Meaning(None, f"{type(error).__name__}: {error}", sampler.asked, calls)
    return Meaning(outcome, None, sampler.asked, calls)


def check_same(wanted: Meaning, after: Graph, row: Mapping[str, Any], target: Target, passes: Sequence[Pass]) -> None:
    """Check that a program comes to what another one did for a row, in exact arithmetic.

    Whatever it asks, the other asked the same at this site and was told the same. Where outputs are named and one of
    the passes behind it leaves out the others, it comes to these alone.
    """
    found = meaning(after, row, target.params)
    assert found.error == wanted.error
    assert found.calls == wanted.calls
    for site, exchange in found.asked.items():
        assert repr(exchange) == repr(wanted.asked.get(site)), site
    if wanted.outcome is None:
        assert found.outcome is None
    elif wanted.outcome.left is not None:
        assert {*map(repr, found.asked.values())} == {*map(repr, wanted.asked.values())}, "Python needs all of it"
        assert repr(found.outcome) == repr(wanted.outcome)
    else:
        expected = wanted.outcome
        projected = any(isinstance(each, EliminateDead) for each in passes)
        if projected and target.outputs is not None:
            kept = {name: value for name, value in expected.variables.items() if name in target.outputs}
            expected = replace(expected, prompt=Prompt(), returned=None, variables=kept)
            assert repr(found.outcome) == repr(expected)


def random_row(arguments: Sequence[Value], random: Random) -> Mapping[str, Any]:
    """Return a value for every argument."""
    return {argument.name: _MAKERS[argument.type](random) for argument in arguments}


def _word(random: Random) -> str:
    return random.choice(WORDS)


_MAKERS: Mapping[Type, Callable[[Random], Any]] = {
    Type.PROMPT: lambda random: Prompt().append(_word(random)).extended("begin", "user"),
    Type.TEXT: _word,
    Type.TEXTS: lambda random: [_word(random) for _ in range(random.randrange(3))],
    Type.INT: lambda random: random.choice((0, 1, -1, 7)),
    Type.FLOAT: lambda random: random.choice((0.0, -0.5, 1e300)),
    Type.BOOL: lambda random: random.random() < 0.5,
    Type.NONE: lambda random: None,
    Type.LIST: lambda random: [_word(random), 1],
    Type.TUPLE: lambda random: (_word(random), None),
    Type.DICT: lambda random: {_word(random): 1},
    Type.VALUE: lambda random: random.choice((*WORDS, 1, None, [1], {"a": "b"})),
}
