"""A draft ends where the text, the model or a recording ends, and what of it was not drawn leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sglc.automata.constraint import Constraint
from sglc.automata.token_constraint import compile_regex
from sglc.backend.engine import Engine
from sglc.backend.request import Completion
from sglc.backend.step import Step
from tests.asking import Mailbox, assert_idle, error_of, request, watch
from tests.drafting import RECORD, Drafting, Guess, continuations, forced_texts


def forced(engine: Engine, text: str) -> Drafting:
    """Return the constraint that only a text meets, and that knows it."""
    constraint = compile_regex(text, engine.vocabulary)
    return Drafting(constraint, lambda state: continuations(constraint, [engine.tokenizer.encode(text)]).get(state, []))


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A model that likes to say what is drafted."""
    with closing(Engine("replay:hash", kv_tokens=4096, check=True, plant=["One two three four five six"])) as engine:
        yield engine
    assert_idle(engine)


def alone(engine: Engine, constraint: Constraint, **params: Any) -> Completion:
    """Return what one request comes to, or raise its error."""
    mailbox = Mailbox()
    asked = request(mailbox, [0, 40, 41, 42], constraint=constraint, **params)
    engine.submit([asked])
    (end,) = mailbox.wait([asked])
    if isinstance(end, Exception):
        raise end
    return end


@pytest.mark.parametrize("most", [1, 2, 5, 6, 7, 100])
def test_no_more_is_drafted_than_may_be_said(engine: Engine, most: int) -> None:
    constraint = forced(engine, "One two three four five six")
    tokens = engine.tokenizer.encode("One two three four five six")
    end = alone(engine, constraint, max_new_tokens=most)
    said = len(end.tokens)
    assert said == end.completion_tokens <= most
    assert engine.counters.drafted <= min(most, len(tokens)) - 1
    assert engine.counters.peak_kv <= 4 + max(0, said - 1)


def test_the_prompt_and_the_whole_text_are_one_pass(engine: Engine) -> None:
    text = "One two three four five six"
    constraint = forced(engine, text)
    tokens = engine.tokenizer.encode(text)
    bias = dict.fromkeys(tokens, 50.0)
    end = alone(engine, constraint, max_new_tokens=100, logit_bias=bias)
    assert end.tokens.tolist() == tokens
    assert engine.counters.forward_passes == 1
    assert engine.counters.accepted == engine.counters.drafted == len(tokens) - 1


def test_what_was_not_drawn_is_not_cached(engine: Engine) -> None:
    text = "One two three four five six"
    constraint = forced(engine, text)
    tokens = engine.tokenizer.encode(text)
    wrong = {tokens[2]: -90.0}
    end = alone(engine, constraint, max_new_tokens=100, logit_bias=wrong | {tokens[0]: 50.0, tokens[1]: 50.0})
    assert end.text == text
    assert end.tokens[:3].tolist() != tokens[:3]
    assert engine._tree is not None
    assert engine._tree.size == 4 + len(end.tokens) - 1


@pytest.mark.parametrize("most", range(5, 16))
def test_the_model_has_no_position_behind_its_last(engine: Engine, most: int) -> None:
    engine.model.max_length = most  # type: ignore[misc]
    with closing(engine.twin(engine.model, engine.tokenizer)) as short:
        steps: list[Step] = []
        watch(short, steps.append)
        end = alone(short, forced(short, "One two three four five six"), max_new_tokens=100)
        assert max(int(step.positions.max()) for step in steps) <= most - 2
        assert end.completion_tokens <= most - 4


# A recorded model, which refuses what it was not recorded with


RECORDS = [
    '{"name": "Harry", "house": "Gryffindor", "age": 14}',
    '{"name": "Cho Chang", "house": "Hufflepuff", "age": 115}',
    '{"name": "Draco", "house": "Slytherin", "age": 7}',
]


def test_canonical_drafts_spare_four_of_ten_passes(tmp_path: Path) -> None:
    from tests.tokenizers import small

    tokenizer = small()
    lines = [{"prompt": [0, 40 + i], "output": tokenizer.encode(text)} for i, text in enumerate(RECORDS)]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for right in (True, False):
        with closing(Engine(f"replay:{trace}", tokenizer=tokenizer, kv_tokens=400, check=True)) as engine:
            constraint = compile_regex(RECORD, engine.vocabulary)
            guess: Guess = forced_texts(constraint, tokenizer)
            if not right:  # another record's tokens: what is refused behind them is no harm
                known = continuations(constraint, [tokenizer.encode(text) for text in RECORDS])
                guess = lambda state, known=known: known.get(state, [])  # noqa: E731
            for i, text in enumerate(RECORDS):
                mailbox = Mailbox()
                asked = request(mailbox, [0, 40 + i], max_new_tokens=200, constraint=Drafting(constraint, guess))
                engine.submit([asked])
                (end,) = mailbox.wait([asked])
                assert isinstance(end, Completion), end
                assert end.text == text
            if right:
                assert engine.counters.forward_passes <= 0.6 * engine.counters.decoded
            else:
                assert engine.counters.drafted > engine.counters.accepted
        assert_idle(engine)


def test_a_draft_ends_where_the_model_refuses_to_go_on(tmp_path: Path) -> None:
    """The request fails where it would without drafts: behind the first token that was not recorded."""
    from tests.tokenizers import small

    tokenizer = small()
    tokens = tokenizer.encode("One two three four five six")
    trace = tmp_path / "trace.jsonl"
    trace.write_text(json.dumps({"prompt": [0, 40], "output": tokens[:3]}), encoding="utf-8")
    errors = []
    for drafts in (True, False):
        with closing(Engine(f"replay:{trace}", tokenizer=tokenizer, kv_tokens=99, check=True, drafts=drafts)) as engine:
            constraint = forced(engine, "One two three four five six")
            bias = dict.fromkeys(tokens[3:], 40.0)
            errors.append(str(error_of(engine, [0, 40], max_new_tokens=20, constraint=constraint, logit_bias=bias)))
            assert engine.counters.accepted == (3 if drafts else 0)
            assert engine.counters.decoded == 4
        assert_idle(engine)
    assert errors == ["found a context of 6 tokens that the recording does not have"] * 2
