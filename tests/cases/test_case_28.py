"""Case 28: where generations end. A free run shows what a model says; the same run with a stop must end in it."""

import re
from typing import Any

import pytest

import sglc
from sglc.language.state import ProgramState
from tests.cases.models import Models

FORCED = "alpha beta, gamma END delta 42 epsilon"


@sglc.function
def say(s, **sampling):
    s += "Say:" + sglc.gen("x", **sampling) + "|" + sglc.gen("y", max_tokens=2)


def saying(models: Models, **sampling: Any) -> ProgramState:
    """Return the state of one `say`, its text being what its variables say."""
    state = models.run_one(say, **sampling)
    assert state.text() == f"Say:{state['x']}|{state['y']}"
    return state


def matched(state: ProgramState) -> Any:
    """Return the stop that ended the generation; None if none did."""
    return state.get_meta_info("x")["finish_reason"].get("matched")


def ending(models: Models, strength: float) -> dict[int, float]:
    """Return a bias towards the end of text."""
    return {models.engine.tokenizer.eos_id: strength}


def test_a_stop_split_across_tokens(models: Models) -> None:
    """Stop string split across tokens, wherever in a free text it lies."""
    free = saying(models, regex="[a-z ]{24}", max_tokens=40, return_logprob=True, return_text_in_logprobs=True)
    pieces = [entry.text for entry in free.get_meta_info("x")["output_token_logprobs"]]
    text = "".join(pieces)
    assert text.startswith(free["x"])
    at = 0
    for piece in pieces[:6]:
        at += len(piece)
        stop = text[at - 1 : at + 2]
        state = saying(models, regex="[a-z ]{24}", max_tokens=40, stop=stop)
        assert state["x"] == text[: text.index(stop)]
        assert matched(state) == stop


def test_several_stops(models: Models) -> None:
    """Several stops: the first in the text ends it, whatever their order in the list."""
    stops = ["END", ", ", "epsilon"]
    for order in (stops, stops[::-1], tuple(stops)):
        state = saying(models, regex=re.escape(FORCED), stop=order)
        assert state["x"] == "alpha beta"
        assert matched(state) == ", "
    assert stops == ["END", ", ", "epsilon"]


def test_a_stop_inside_a_forced_string(models: Models) -> None:
    """Stop inside a forced string."""
    state = saying(models, regex=re.escape(FORCED), stop="END")
    assert state["x"] == "alpha beta, gamma "
    assert saying(models, regex=re.escape(FORCED), stop="alp")["x"] == ""
    assert saying(models, regex=re.escape(FORCED), stop="omega")["x"] == FORCED


def test_a_stop_pattern(models: Models) -> None:
    """stop_regex."""
    state = saying(models, regex=re.escape(FORCED), stop_regex=r"[0-9]")
    assert state["x"] == "alpha beta, gamma END delta "
    assert matched(state) == r"[0-9]"
    assert saying(models, regex=re.escape(FORCED), stop_regex=[r"[A-Z]{3}", r"\d"], stop="beta,")["x"] == "alpha "


def test_stop_tokens(models: Models) -> None:
    """stop_token_ids."""
    free = saying(models, max_tokens=12, ignore_eos=True, return_logprob=True)
    ids = [entry.token_id for entry in free.get_meta_info("x")["output_token_logprobs"]]
    for token_id in ids[2::4]:
        state = saying(models, max_tokens=12, ignore_eos=True, stop_token_ids=[token_id])
        assert state["x"] == models.engine.tokenizer.decode(ids[: ids.index(token_id)])
        assert matched(state) == token_id


def test_ignore_eos(models: Models) -> None:
    """ignore_eos."""
    ended = saying(models, max_tokens=7, logit_bias=ending(models, 200.0))
    assert (ended["x"], ended.finish()["x"]) == ("", "stop")
    assert matched(ended) == models.engine.tokenizer.eos_id
    going_on = saying(models, max_tokens=7, logit_bias=ending(models, 200.0), ignore_eos=True)
    assert going_on.finish()["x"] == "length"
    assert going_on.get_meta_info("x")["completion_tokens"] == 7


def test_min_tokens(models: Models) -> None:
    """min_tokens: no end of text and no stop token before; stop strings still."""
    state = saying(models, min_tokens=3, max_tokens=9, logit_bias=ending(models, 200.0))
    assert state.finish()["x"] == "stop"
    assert state.get_meta_info("x")["completion_tokens"] == 3 + 1
    comma = models.engine.tokenizer.encode(",")
    assert len(comma) == 1
    state = saying(models, min_tokens=2, max_tokens=9, stop_token_ids=comma, logit_bias={comma[0]: 200.0})
    assert state.get_meta_info("x")["completion_tokens"] == 2 + 1
    state = saying(models, min_tokens=5, max_tokens=9, stop=",", logit_bias={comma[0]: 200.0})
    assert (state["x"], matched(state)) == ("", ",")


def test_no_tokens(models: Models) -> None:
    """max_tokens=0: only the prompt is computed."""
    state = saying(models, max_tokens=0)
    assert state["x"] == ""
    assert state.get_meta_info("x")["completion_tokens"] == 0
    assert state.get_meta_info("x")["finish_reason"] == {"type": "length", "length": 0}

    @sglc.function
    def warm(s):
        s += "A prompt to be warmed up before it is wanted, " + sglc.gen("warmed", max_tokens=0)
        s.sync()
        s += "as it is now" + sglc.gen("x", max_tokens=1)

    models.start_cold()
    meta = warm.run().get_meta_info("x")
    assert meta["cached_tokens"] >= len(models.ids("A prompt to be warmed up before it is wanted,"))


def test_too_many_stops_are_refused() -> None:
    """At most 32 stops, refused where the program writes them."""
    with pytest.raises(sglc.ProgramError, match="stop: found 33 entries; wanted at most 32"):
        sglc.gen("x", stop=[str(n) for n in range(33)])
