"""What choices are worth without a prompt is asked once an engine, however many rows want it, and whoever fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from sglc.backend import unconditional
from sglc.backend.choices import unconditional_likelihood_normalized as method
from sglc.backend.engine import Engine
from sglc.backend.exchange import Exchange
from sglc.backend.prompt import Prompt
from sglc.backend.request import Request
from sglc.errors import Cancelled, EngineError, InputError, ProgramError
from tests.asking import assert_idle, assert_withdrawn
from tests.choosing import Hearing, Question, Told, Tree, choose

CHOICES = [" starts pulling a rope.", " starts pulling up roofing.", " is ripping tiles off."]


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An audited engine."""
    with closing(Engine("replay:hash", kv_tokens=2048, check=True)) as engine:
        yield engine
    assert_idle(engine)


def questions(count: int, choices: Sequence[str] = CHOICES) -> list[Question]:
    return [Question(Prompt().append(f"{i}. He"), choices, method) for i in range(count)]


def sets_of(asked: Iterable[Question], engine: Engine) -> set[tuple[int, ...]]:
    """Return all that has to be computed for these, prompts included, the choices without prompts not."""
    trees = [Tree.of(question, engine.tokenizer) for question in asked]
    return set().union(*(tree.prompt | tree.inner for tree in trees))


def alone(engine: Engine, choices: Sequence[str] = CHOICES) -> int:
    """Return how many positions have to be computed for choices without a prompt."""
    return len(Tree.of(Question(Prompt(started=True), choices, method), engine.tokenizer).inner)


# Once


def test_rows_asked_together_share_it(engine: Engine) -> None:
    asked = questions(20)
    answers = choose(engine, asked, as_tree=True)
    assert engine.counters.filled == len(sets_of(asked, engine)) + alone(engine)
    assert engine.counters.relogit == 0
    assert engine.counters.forward_passes == 1
    assert (
        len({repr(answer.meta["unconditional_token_logprobs"]) for answer in answers if isinstance(answer, Told)}) == 1
    )


def test_later_rows_find_it_known(engine: Engine) -> None:
    (first,) = choose(engine, questions(1), as_tree=True)
    engine.reset_counters()
    (later,) = choose(engine, questions(1), as_tree=True)
    assert later == first
    assert engine.counters.filled == 0
    assert engine.counters.requests == len(CHOICES)


def test_what_a_row_does_with_it_is_its_own_affair(engine: Engine) -> None:
    one, two = choose(engine, questions(1) * 2, as_tree=True)
    assert isinstance(one, Told) and isinstance(two, Told)
    one.meta["unconditional_token_logprobs"][0].clear()
    assert two.meta["unconditional_token_logprobs"][0]
    (again,) = choose(engine, questions(1), as_tree=True)
    assert again == two


def test_some_may_be_known_and_some_on_their_way(engine: Engine) -> None:
    choose(engine, questions(1, CHOICES[:1]), as_tree=True)
    asked = [*questions(1, CHOICES[:2]), *questions(1, CHOICES), *questions(1, CHOICES[2:])]
    with closing(Engine("replay:hash", cache=False)) as reference:
        assert choose(engine, asked, as_tree=True) == choose(reference, asked, as_tree=False)


def test_it_does_not_remember_without_bound(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unconditional, "_MOST_KNOWN", 5)
    for i in range(6):
        choose(engine, questions(1, [f" the {i}. of them", f" number {i}"]), as_tree=True)
        assert 0 < len(engine.unconditional) <= 5


# Failures


def lose(engine: Engine, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """Let all requests without a prompt fail, before those with one are answered or after."""
    submit = engine.submit

    def losing(requests: Sequence[Request], **given: Any) -> None:
        lost = [request for request in requests if request.score_from == 0]
        kept = [request for request in requests if request.score_from != 0]
        if not late:
            for request in lost:
                request.sink([(request, EngineError("found nothing; wanted something"))])
        left = len(kept)

        def after(sink: Callable[..., None]) -> Callable[..., None]:
            def noted(events: Sequence[Any]) -> None:
                nonlocal left
                sink(events)
                left -= len(events)
                if late and not left:
                    for request in lost:
                        request.sink([(request, EngineError("found nothing; wanted something"))])

            return noted

        for request in kept:
            request.sink = after(request.sink)
        submit(kept, **given)

    monkeypatch.setattr(engine, "submit", losing)


@pytest.mark.parametrize("late", [False, True])
def test_all_who_wait_hear_that_it_failed(engine: Engine, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    with monkeypatch.context() as patched:
        lose(engine, patched, late)
        answers = choose(engine, questions(3), as_tree=True)
    assert answers == [(EngineError, "found nothing; wanted something")] * 3
    assert all(isinstance(answer, Told) for answer in choose(engine, questions(3), as_tree=True)), "it is asked anew"


def test_one_that_fails_does_not_take_it_from_the_others(engine: Engine) -> None:
    hopeless = Question(Prompt().append("so " * 3000), CHOICES, method)
    failure, answer = choose(engine, [hopeless, *questions(1)], as_tree=True)
    assert isinstance(failure, tuple) and failure[0] is EngineError
    assert isinstance(answer, Told)


def test_whoever_is_withdrawn_hears_it_once(engine: Engine) -> None:
    exchange = Exchange(engine)
    hearing = Hearing(exchange)
    hearing.ask(questions(3), as_tree=True)
    exchange.withdraw()
    assert [answer[0] for answer in hearing.answers.values()] == [Cancelled] * 3
    hearing.ask(questions(2), as_tree=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "submit", lambda *_, **__: None)
        exchange.submit()
    exchange.withdraw()
    assert [answer[0] for answer in hearing.answers.values()] == [Cancelled] * 5
    assert not exchange.waiting
    assert_withdrawn(engine)


@pytest.mark.parametrize(
    ("prompt", "choices", "error"),
    [
        ("so " * 3000, CHOICES, EngineError),
        ("", ["so " * 3000, "so"], EngineError),
        ("so", [" yes", ""], ProgramError),
        ("so \ud800", CHOICES, InputError),
        ("so", ["\ud800", " no"], InputError),
    ],
)
def test_what_can_not_be_scored_can_not_be_chosen(
    engine: Engine, prompt: str, choices: list[str], error: type[Exception]
) -> None:
    question = Question(Prompt().append(prompt), choices, method)
    (found,), (wanted,) = (choose(engine, [question], as_tree=as_tree) for as_tree in (True, False))
    assert isinstance(wanted, tuple) and wanted[0] is error
    assert isinstance(found, tuple) and found[0] is error


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_a_choice_fits_the_pool_and_the_model_where_its_scoring_does(spare: int) -> None:
    question = Question(Prompt().append("so it is"), [" or it is not, or it is", " or not"], method)
    with closing(Engine("replay:hash")) as engine:
        tokens = max(len(each) for each in sets_of([question], engine)) + spare
    for settings in ({"kv_tokens": tokens - 1}, {"max_length": tokens}):
        found = []
        for as_tree in (True, False):
            with closing(Engine("replay:hash", kv_tokens=settings.get("kv_tokens"))) as engine:
                engine.model.max_length = settings.get("max_length", 1 << 20)  # type: ignore[misc]
                (answer,) = choose(engine, [question], as_tree=as_tree)
                found.append(isinstance(answer, Told))
        assert found == [spare > 0] * 2
