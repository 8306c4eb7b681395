"""No run costs more than its bound says, whatever is generated; and where nothing is, the bound is what it costs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sglc
from sglc.backend.bound import bound
from sglc.backend.bound_prompts import TokenLimits
from sglc.backend.bound_values import ANYTHING, Unknown, applied, size_of
from sglc.backend.prediction import Prediction
from sglc.backend.tokenizer import Tokenizer
from sglc.ir.functions import FUNCTIONS
from sglc.language.function import SglFunction, params_of
from sglc.language.options import run_options
from sglc.language.planned_rows import planned_rows
from tests.conftest import FULL
from tests.predictions import check_predictions

MakeEngine = Callable[..., sglc.Engine]

TEXTS = st.text(st.sampled_from("aé∑ \n1<|🙂"), max_size=12)


@pytest.fixture(scope="module")
def make_engine() -> Iterator[MakeEngine]:
    """Make engines of the replay model that are closed at the end."""
    with contextlib.ExitStack() as made:
        yield lambda **options: made.enter_context(sglc.Engine("replay:hash", **options))


def most(program: SglFunction, rows: list[dict[str, Any]], engine: sglc.Engine, level: int = 2) -> Prediction:
    """Return the bound of a program's rows, all of which are captured."""
    planned = planned_rows(program, rows, params_of({}), engine, run_options(level, None, eager=False))
    assert planned.wholly_captured
    return bound(planned.plans, engine)


def counted(program: SglFunction, rows: list[dict[str, Any]], level: int = 2, **options: Any) -> Prediction:
    """Return what rows cost on an engine of their own."""
    with contextlib.closing(sglc.Engine("replay:hash", **options)) as engine:
        program.run_batch(rows, backend=engine, optimize=level)
        return Prediction.of(engine.counters)


def test_choices_behind_known_text_cost_their_bound(make_engine: MakeEngine) -> None:
    """Nothing is generated, so nothing is left open but which logits come for nothing."""

    @sglc.function
    def choose(s, question: str):
        s += "Answer by a letter.\n" + question + "\n" + sglc.select("letter", choices=["A", "B", "C"])

    rows = [{"question": f"Which is number {number % 4}?"} for number in range(9)]
    foretold, cost = most(choose, rows, make_engine()), counted(choose, rows)
    assert (foretold.requests, foretold.filled, foretold.decoded) == (cost.requests, cost.filled, 0)
    assert foretold.forward_passes == cost.forward_passes == 1
    assert foretold.tokenizer_calls is not None and foretold.tokenizer_calls >= (cost.tokenizer_calls or 0)


def test_a_shared_prefix_is_bounded_once(make_engine: MakeEngine) -> None:
    @sglc.function
    def ask(s, question: str):
        s += "Answer in one word, and think before. " * 20 + question + "\nAnswer:"
        s += sglc.gen("answer", max_tokens=7, ignore_eos=True)

    rows = [{"question": f"What is {number}?"} for number in range(30)]
    foretold, cost = most(ask, rows, make_engine()), counted(ask, rows)
    assert (foretold.filled, foretold.decoded, foretold.forward_passes) == (cost.filled, 30 * 7, 7)
    assert foretold.sequence_steps == cost.sequence_steps == 30 * 7
    assert cost.peak_kv is not None and cost.peak_kv <= (foretold.peak_kv or 0) <= cost.peak_kv + 30


def test_a_pool_that_may_overflow_bounds_less(make_engine: MakeEngine) -> None:
    @sglc.function
    def ask(s, question: str):
        s += question + " is what? " * 10 + sglc.gen("answer", max_tokens=20)

    rows = [{"question": f"{number} and {number}"} for number in range(50)]
    small = most(ask, rows, make_engine(kv_tokens=300))
    assert (small.peak_kv, small.forward_passes, small.refilled) == (300, None, None)
    whole = most(ask, rows, make_engine(kv_tokens=300, cache=False))
    assert small.filled == whole.filled  # each prompt anew


def test_every_way_of_a_branch_counts(make_engine: MakeEngine) -> None:
    @sglc.function
    def branching(s, question: str):
        s += question + sglc.select("kind", choices=["long", "short"])
        if s["kind"] == "long":
            s += sglc.gen("answer", max_tokens=50)
        else:
            s += sglc.gen("answer", max_tokens=5) + "!" + sglc.gen("why", max_tokens=6)

    foretold = most(branching, [{"question": "Which? "}], make_engine())
    assert foretold.decoded == 50
    assert foretold.requests is not None and foretold.requests >= 3


def test_what_host_code_returns_has_no_bound(make_engine: MakeEngine) -> None:
    made: list[str] = []

    @sglc.function
    def searching(s, question: str):
        s += question + sglc.gen("query", max_tokens=5)
        s += sglc.call(made.append, s["query"]) + sglc.gen("answer", max_tokens=6)

    foretold = most(searching, [{"question": "Where?"}], make_engine())
    assert (foretold.filled, foretold.forward_passes) == (None, None)
    assert foretold.decoded is not None and foretold.decoded >= 11
    assert not made


def test_a_graph_that_a_row_may_leave_counts_twice(make_engine: MakeEngine) -> None:
    """Where `int` raises, the row goes on in Python, which asks again for what a pass had taken out."""

    @sglc.function
    def counting(s, question: str):
        s += question + sglc.gen("number", max_tokens=3, temperature=0)
        s["double"] = int(s["number"]) * 2

    rows = [{"question": f"How many are {number}?"} for number in range(5)]
    foretold = most(counting, rows, make_engine())
    assert foretold.decoded == 2 * 5 * 3
    assert not foretold.exceeded_by(counted(counting, rows))


TEXT_FUNCTIONS = [
    ("str.strip", ()),
    ("str.upper", ()),
    ("str.title", ()),
    ("str.split", ()),
    ("str.splitlines", ()),
    ("str.partition", ("a",)),
    ("str.replace", ("a", "long")),
    ("str.replace", ("", "é")),
    ("str.removeprefix", ("a",)),
    ("add", ("é",)),
    ("getitem", (0,)),
    ("slice", (1, None, 2)),
    ("str", ()),
    ("format", ("",)),
    ("len", ()),
    ("int", ()),
    ("eq", ("a",)),
    ("as_text", ()),
    ("str.startswith", ("a",)),
]


@pytest.mark.parametrize(("name", "others"), TEXT_FUNCTIONS, ids=lambda part: str(part))
@settings(max_examples=400 if FULL else 25, deadline=None)
@given(text=TEXTS)
def test_functions_make_texts_no_longer_than_they_may(name: str, others: tuple[Any, ...], text: str) -> None:
    size = size_of(text)
    most_of_it = applied(name, [Unknown(size, 0), *others])
    assert most_of_it.size is not None
    try:
        value = FUNCTIONS[name].compute(text, *others)
    except (ValueError, IndexError):
        return
    assert (size_of(value) or 0) <= most_of_it.size
    if most_of_it.depth == 0:
        assert len(str(value).encode()) <= most_of_it.size


@settings(max_examples=400 if FULL else 25, deadline=None)
@given(texts=st.lists(TEXTS, max_size=5), separator=TEXTS)
def test_joined_and_formatted_texts_have_a_bound(texts: list[str], separator: str) -> None:
    whole = Unknown(sum(len(text.encode()) for text in texts), 1, len(texts))
    assert len(separator.join(texts).encode()) <= (applied("str.join", [separator, whole]).size or 0)
    unknown = [Unknown(len(text.encode()), 0) for text in texts]
    template = "é".join(["{}"] * len(texts))
    made = applied("str.format", [template, *unknown])
    assert not texts or len(template.format(*texts).encode()) <= (made.size or 0)
    assert applied("str.format", ["{:>100}", Unknown(3, 0)]) == ANYTHING


@settings(max_examples=400 if FULL else 40, deadline=None)
@given(text=TEXTS, ids=st.lists(st.integers(0, 2047), max_size=8))
def test_text_and_tokens_bound_each_other(text: str, ids: list[int]) -> None:
    tokenizer = Tokenizer.packaged()
    limits = TokenLimits(tokenizer)
    assert len(tokenizer.encode(text)) <= (limits.tokens_of(len(text.encode())) or 0)
    said = tokenizer.decode(ids)
    assert len(said.encode()) <= limits.text_of_token * len(ids)
    assert len(tokenizer.encode(said)) <= (limits.tokens_of(len(said.encode())) or 0)


@st.composite
def engine_options(draw: st.DrawFn) -> dict[str, Any]:
    """Return settings of an engine, most of them uncomfortable."""
    return {
        "kv_tokens": draw(st.sampled_from([250, 600, 4000, 60_000])),
        "max_step_tokens": draw(st.sampled_from([7, 40, 2048])),
        "max_running": draw(st.sampled_from([2, 7, 256])),
        "cache": draw(st.booleans()),
    }


@sglc.function
def everything(s, topic: str, number: int):
    s += "About " + topic + ":"
    forks = s.fork(2)
    for fork in forks:
        fork += "\nOne:" + sglc.gen("one", max_tokens=6, stop=["e", "\n"])
    forks.join()
    s += s["one"][0].strip().upper() + " | ".join(s["one"]) + f" {number:>5} "
    s += sglc.select("which", choices=[s["one"][0] + "x", "known", "known too"])
    if "known" in s["which"]:
        s += "Known:" + sglc.gen("two", max_tokens=4, n=2)
        s += s["two"][1]
    s += sglc.gen("three", regex="[a-z]{1,3}", temperature=0)
    s += str(len(s["three"]))
    s += sglc.select("method", choices=["yes", "no"], choices_method=sglc.unconditional_likelihood_normalized)


@settings(max_examples=60 if FULL else 5, deadline=None)
@given(options=engine_options(), level=st.sampled_from([0, 2]), seed=st.integers(0, 50))
def test_no_run_exceeds_its_bound(make_engine: MakeEngine, options: dict[str, Any], level: int, seed: int) -> None:
    rows = [{"topic": f"topic {number % 2}", "number": number} for number in range(4)]
    check_predictions(everything, rows, make_engine(**options), optimize=level, seed=seed)
