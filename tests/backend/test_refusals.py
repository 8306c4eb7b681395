"""What can't be answered is refused with a sentence, and others go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import sglc
from sglc.backend.engine import Engine
from sglc.backend.tokenizer import Tokenizer
from sglc.errors import EngineError
from tests.asking import Mailbox, ask, assert_idle, error_of, request
from tests.checkpoints import VOCAB, save_checkpoint

PROMPT = [0, *range(100, 140)]


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The replay model with a roomy pool, audited between all steps."""
    with closing(Engine("replay:hash", kv_tokens=4096, check=True)) as engine:
        yield engine
    assert_idle(engine)


def test_a_prompt_longer_than_the_pool_is_refused_with_both_numbers() -> None:
    with closing(Engine("replay:hash", kv_tokens=32)) as engine:
        assert "41 tokens" in (message := str(error_of(engine, PROMPT))) and "32" in message
        assert ask(engine, [PROMPT[:32]], max_new_tokens=1)


def test_a_prompt_longer_than_the_model_is_refused_with_both_numbers(engine: Engine) -> None:
    engine.model.max_length = 40  # type: ignore[misc]
    assert "41 tokens" in (message := str(error_of(engine, PROMPT))) and "40" in message


def test_an_empty_prompt_is_refused(engine: Engine) -> None:
    assert "found an empty prompt" in str(error_of(engine, []))


@pytest.mark.parametrize("name", ["kv_tokens", "max_step_tokens", "max_running"])
def test_a_setting_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(EngineError, match=f"found {name} = 0; wanted at least 1"):
        Engine("replay:hash", **{name: 0})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"logit_bias": {10**7: 1.0}}, "found the token id 10000000; wanted one of 0 .. "),
        ({"stop_token_ids": (10**7,), "min_tokens": 2}, "found the token id 10000000; wanted one of 0 .. "),
        ({"return_logprob": True, "top_logprobs_num": 10**6}, "found top_logprobs_num = 1000000; wanted at most "),
    ],
)
def test_parameters_the_vocabulary_lacks_fail_their_row_alone(setting: dict[str, object], message: str) -> None:
    @sglc.function
    def one(s, odd):  # type: ignore[no-untyped-def]
        s += "q" + sglc.gen("a", max_tokens=3, **(setting if odd else {}))

    with sglc.Engine("replay:hash", kv_tokens=256) as own:
        states = one.run_batch([{"odd": False}, {"odd": True}, {"odd": False}], backend=own)
    assert [state.error is None for state in states] == [True, False, True]
    assert message in str(states[1].error)


def test_a_token_that_the_model_lacks_fails_its_request_alone(tmp_path: Path) -> None:
    folder = save_checkpoint("llama", tmp_path, dtype="float32")
    mailbox = Mailbox()
    with closing(Engine(folder, tokenizer=Tokenizer.packaged(), kv_tokens=256)) as engine:
        assert engine.tokenizer.vocab_size > VOCAB
        good, bad = request(mailbox, [1, 2, VOCAB - 1], max_new_tokens=2), request(mailbox, [1, VOCAB])
        engine.submit([good, bad])
        ends = mailbox.wait([good, bad])
    assert not isinstance(ends[0], Exception)
    assert f"found the token id {VOCAB} in a prompt; wanted one of 0 .. {VOCAB - 1}" in str(ends[1])
