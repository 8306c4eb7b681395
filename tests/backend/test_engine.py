"""The engine answers requests: what it says, what it counts, and what it does with those it can't answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

import sglc
from sglc.automata.token_constraint import compile_regex
from sglc.automata.vocabulary import Vocabulary
from sglc.backend.engine import Engine
from sglc.backend.random_stream import stream_key
from sglc.backend.request import Completion, Finish
from sglc.backend.step import Step
from sglc.errors import EngineError
from tests.asking import Mailbox, ask, assert_idle, error_of, request, watch

PROMPT = [0, *range(100, 140)]
KEYS = [stream_key(0, row, ":0") for row in range(40)]


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The replay model with a roomy pool, audited between all steps."""
    with closing(Engine("replay:hash", kv_tokens=4096, check=True)) as engine:
        yield engine
    assert_idle(engine)


# What it says


def test_greedy_generations_repeat_themselves(engine: Engine) -> None:
    first, second = ask(engine, [PROMPT, PROMPT], max_new_tokens=20, ignore_eos=True)
    assert first.text == second.text == engine.tokenizer.decode(first.tokens.tolist())
    assert len(first.tokens) == first.completion_tokens == 20
    assert first.finish == Finish("length")


def test_an_end_token_ends_and_is_not_part_of_the_output(engine: Engine) -> None:
    (end,) = engine.tokenizer.eos_ids
    free = ask(engine, [[0, i] for i in range(60)], max_new_tokens=64)
    stopped = [c for c in free if c.finish.kind == "stop"]
    assert stopped
    for completion in stopped:
        assert completion.finish.matched == end
        assert end not in completion.tokens
        assert len(completion.tokens) == completion.completion_tokens - 1


def test_ignore_eos_goes_on(engine: Engine) -> None:
    for completion in ask(engine, [[0, i] for i in range(30)], max_new_tokens=40, ignore_eos=True):
        assert completion.finish == Finish("length")
        assert completion.completion_tokens == 40


def test_min_tokens_keeps_the_end_away(engine: Engine) -> None:
    for completion in ask(engine, [[0, i] for i in range(60)], min_new_tokens=30, max_new_tokens=31):
        assert completion.completion_tokens >= 30


def test_stop_tokens(engine: Engine) -> None:
    (free,) = ask(engine, [PROMPT], ignore_eos=True)
    stop = int(free.tokens[3])
    (stopped,) = ask(engine, [PROMPT], ignore_eos=True, stop_token_ids=(stop,))
    first = free.tokens.tolist().index(stop)
    assert stopped.tokens.tolist() == free.tokens[:first].tolist()
    assert stopped.finish == Finish("stop", stop)


def test_a_stop_inside_a_token_leaves_the_rest_as_a_tail(engine: Engine) -> None:
    (free,) = ask(engine, [PROMPT], max_new_tokens=40, ignore_eos=True)
    pieces = [engine.tokenizer.decode([token]) for token in free.tokens.tolist()]
    at = next(i for i, piece in enumerate(pieces) if i > 2 and len(piece) > 2 and piece.isascii())
    stop = pieces[at][1:]
    (stopped,) = ask(engine, [PROMPT], max_new_tokens=40, ignore_eos=True, stop=stop)
    assert stop not in stopped.text
    assert free.text.startswith(stopped.text + stop)
    assert engine.tokenizer.decode(stopped.tokens.tolist()) + stopped.tail == stopped.text
    assert stopped.finish == Finish("stop", stop)


def test_a_scoring_finds_what_a_generation_reported(engine: Engine) -> None:
    (said,) = ask(engine, [PROMPT], ignore_eos=True, return_logprob=True, top_logprobs_num=3, temperature=1.0)
    assert [entry.token_id for entry in said.output_logprobs] == said.tokens.tolist()
    for entry, best in zip(said.output_logprobs, said.output_top, strict=True):
        assert len(best) == 3
        assert best[0].logprob >= best[1].logprob >= best[2].logprob
        assert entry.logprob <= best[0].logprob
    whole = [*PROMPT, *said.tokens.tolist()]
    (scored,) = ask(engine, [whole], max_new_tokens=0, return_logprob=True, score_from=len(PROMPT))
    assert scored.completion_tokens == 0
    assert [e.token_id for e in scored.input_logprobs] == said.tokens.tolist()
    wanted = [entry.logprob for entry in said.output_logprobs]
    np.testing.assert_allclose([e.logprob for e in scored.input_logprobs], wanted, rtol=1e-12)


def test_a_scoring_from_the_beginning_has_no_logprob_first(engine: Engine) -> None:
    (scored,) = ask(engine, [PROMPT], max_new_tokens=0, return_logprob=True, score_from=0)
    assert scored.input_logprobs[0].logprob is None
    assert [entry.token_id for entry in scored.input_logprobs] == PROMPT


@pytest.mark.parametrize("settings", [{}, {"max_step_tokens": 3}, {"cache": False}], ids=str)
def test_a_scoring_finds_what_else_might_have_stood_there(settings: dict[str, object]) -> None:
    siblings = {30: (7, 8, PROMPT[30]), 33: (9,), len(PROMPT) - 1: tuple(range(40))}
    with closing(Engine("replay:hash", kv_tokens=4096, check=True, **settings)) as own:
        given = {"max_new_tokens": 0, "return_logprob": True, "score_from": 30}
        (scored,) = ask(own, [PROMPT], siblings=siblings, top_logprobs_num=1, **given)
        assert scored.sibling_logprobs is not None and scored.sibling_logprobs.keys() == siblings.keys()
        assert len(scored.input_logprobs) == len(scored.input_top) == len(PROMPT) - 30
        for place, tokens in siblings.items():
            variants = ask(own, [[*PROMPT[:place], token, *PROMPT[place + 1 :]] for token in tokens], **given)
            wanted = [variant.input_logprobs[place - 30].logprob for variant in variants]
            np.testing.assert_allclose(scored.sibling_logprobs[place], wanted, rtol=1e-12)


def test_logprobs_are_the_models_own_whatever_the_sampling(engine: Engine) -> None:
    (plain,) = ask(engine, [PROMPT], max_new_tokens=1, return_logprob=True)
    token = plain.output_logprobs[0].token_id
    pushed = {"temperature": 0.1, "logit_bias": {token: 50.0}, "top_p": 0.5, "frequency_penalty": 1.0}
    (biased,) = ask(engine, [PROMPT], max_new_tokens=1, return_logprob=True, stream_key=KEYS[0], **pushed)
    assert biased.output_logprobs == plain.output_logprobs


def test_streams_add_up_to_the_text(engine: Engine) -> None:
    mailbox = Mailbox()
    given = {"streamed": True, "temperature": 1.0, "max_new_tokens": 30, "stop": ("ing", "ed")}
    asked = [request(mailbox, PROMPT, stream_key=key, **given) for key in KEYS]
    engine.submit(asked)
    for each, end in zip(asked, mailbox.wait(asked), strict=True):
        assert isinstance(end, Completion)
        assert mailbox.streamed(each) == end.text
    assert max(len(deltas) for deltas in mailbox.deltas.values()) > 2


def test_a_constraint_that_leaves_no_token_fails_alone(engine: Engine) -> None:
    impossible = compile_regex("[0-9]+", Vocabulary([b""] * engine.model.vocab_size))
    mailbox = Mailbox()
    stuck = request(mailbox, PROMPT, constraint=impossible)
    fine = request(mailbox, PROMPT)
    engine.submit([stuck, fine])
    failure, completion = mailbox.wait([stuck, fine])
    assert isinstance(failure, EngineError)
    assert isinstance(completion, Completion)


def test_draws_depend_on_the_key_and_on_nothing_else(engine: Engine) -> None:
    mailbox = Mailbox()
    keys = [KEYS[i] for i in (3, 5, 3, 7, 5)]
    asked = [
        request(mailbox, PROMPT, age=9 - i, stream_key=key, temperature=2.0, ignore_eos=True)
        for i, key in enumerate(keys)
    ]
    engine.submit(asked)
    texts = [end.text for end in mailbox.wait(asked) if isinstance(end, Completion)]
    assert texts[0] == texts[2]
    assert texts[1] == texts[4]
    assert len(set(texts)) == 3


# What it counts


def test_every_position_is_counted_once(engine: Engine) -> None:
    """One at a time, over a plain dictionary of all prefixes that were computed before."""
    known: set[tuple[int, ...]] = set()
    filled = relogit = cached = 0
    for i in range(30):
        prompt = [0, *range(5, 5 + i % 7), *range(50 + i % 3, 60)]
        (said,) = ask(engine, [prompt], max_new_tokens=4, ignore_eos=True, temperature=float(i % 2))
        length = len(prompt)
        present = next((n for n in range(length, 0, -1) if tuple(prompt[:n]) in known), 0)
        fresh_logits = int(present == length)
        filled += length - present
        relogit += fresh_logits
        cached += present - fresh_logits
        assert (said.filled, said.relogit, said.cached_tokens) == (
            length - present,
            fresh_logits,
            present - fresh_logits,
        )
        computed = (prompt + said.tokens.tolist())[:-1]  # the last token was never fed
        known |= {tuple(computed[:n]) for n in range(1, len(computed) + 1)}
    counters = engine.counters
    assert (counters.filled, counters.relogit, counters.cached) == (filled, relogit, cached)
    assert counters.prompt == filled + relogit + cached
    assert (counters.requests, counters.decoded) == (30, 30 * 4)
    assert engine._pool.used == len(known)


def test_counters_can_be_reset(engine: Engine) -> None:
    ask(engine, [PROMPT])
    engine.reset_counters()
    assert engine.counters.requests == engine.counters.filled == engine.counters.decoded == 0
    (again,) = ask(engine, [PROMPT])
    assert engine.counters.cached == again.cached_tokens == len(PROMPT) - 1


def test_a_flushed_cache_is_empty(engine: Engine) -> None:
    ask(engine, [PROMPT])
    assert engine.flush_cache() is True
    (again,) = ask(engine, [PROMPT])
    assert again.cached_tokens == 0


def test_a_flush_leaves_running_requests_alone(engine: Engine) -> None:
    (wanted,) = ask(engine, [PROMPT], max_new_tokens=200, ignore_eos=True)
    flushed = threading.Event()

    def flush_once(step: Step) -> None:
        if not flushed.is_set():
            flushed.set()
            engine.flush_cache()

    engine.flush_cache()
    watch(engine, flush_once)
    (found,) = ask(engine, [PROMPT], max_new_tokens=200, ignore_eos=True)
    assert flushed.is_set()
    assert found.text == wanted.text


# What it can't answer


def test_a_generation_ends_where_the_model_does(engine: Engine) -> None:
    engine.model.max_length = 50  # type: ignore[misc]
    (said,) = ask(engine, [PROMPT], max_new_tokens=100, ignore_eos=True)
    assert said.finish == Finish("length")
    assert len(PROMPT) + len(said.tokens) == 50


def test_a_generation_that_outgrows_the_pool_alone_says_so() -> None:
    with closing(Engine("replay:hash", kv_tokens=45, check=True)) as engine:
        error = error_of(engine, PROMPT, max_new_tokens=100, ignore_eos=True)
        assert "46" in str(error) and "45" in str(error)
        assert ask(engine, [PROMPT], max_new_tokens=5)
    assert_idle(engine)


def test_generations_that_outgrow_the_pool_on_a_shared_prompt_all_end() -> None:
    with closing(Engine("replay:hash", kv_tokens=60, check=True)) as engine:
        mailbox = Mailbox()
        given = {"max_new_tokens": 100, "ignore_eos": True, "temperature": 1.0}
        asked = [request(mailbox, PROMPT, age, stream_key=KEYS[age], **given) for age in range(3)]
        engine.submit(asked)
        for end in mailbox.wait(asked):
            assert isinstance(end, EngineError)
            assert "kv_tokens" in str(end) and "60" in str(end)
        assert ask(engine, [PROMPT])
    assert_idle(engine)


def test_one_that_was_preempted_when_it_filled_the_pool_fails_alone() -> None:
    """An older request comes just before the younger one outgrows the pool, so that it does so while it waits."""
    with closing(Engine("replay:hash", kv_tokens=60, check=True)) as engine:
        mailbox = Mailbox()
        younger = request(mailbox, PROMPT, age=1, max_new_tokens=21, ignore_eos=True)
        older = request(mailbox, PROMPT, age=0, max_new_tokens=3, ignore_eos=True)
        youngest = request(mailbox, [0, 7, 8, 9], age=2, max_new_tokens=3, ignore_eos=True)

        def come_in_time(step: Step) -> None:
            if step.context_lengths.tolist() == [59]:
                engine.submit([older, youngest])

        watch(engine, come_in_time)
        engine.submit([younger])
        outgrown, first, last = mailbox.wait([younger, older, youngest])
        assert engine.counters.preemptions == 1
        assert isinstance(first, Completion)
        assert isinstance(outgrown, EngineError)
        assert "61" in str(outgrown) and "60" in str(outgrown) and "kv_tokens" in str(outgrown)
        assert isinstance(last, Completion)
    assert_idle(engine)


def test_a_model_that_fails_fails_its_requests_and_the_engine_goes_on(engine: Engine) -> None:
    broken = threading.Event()

    def fail_once(step: Step) -> None:
        if not broken.is_set():
            broken.set()
            raise RuntimeError("the device is gone")

    watch(engine, fail_once)
    mailbox = Mailbox()
    asked = [request(mailbox, [*PROMPT, i]) for i in range(5)]
    engine.submit(asked)
    for end in mailbox.wait(asked):
        assert isinstance(end, EngineError)
        assert "the device is gone" in str(end)
        assert isinstance(end.__cause__, RuntimeError)
    (said,) = ask(engine, [PROMPT])
    assert said.cached_tokens == 0, "no KV of the failed step is trusted"


def test_cancelled_requests_get_no_events_and_free_their_kv(engine: Engine) -> None:
    mailbox = Mailbox()
    endless = request(mailbox, PROMPT, max_new_tokens=3000, ignore_eos=True)
    engine.submit([endless])
    time.sleep(0.02)
    endless.cancelled = True
    ask(engine, [PROMPT])
    assert id(endless) not in mailbox.ends
    assert engine.counters.decoded < 3000


def test_a_closed_engine_takes_nothing(engine: Engine) -> None:
    with closing(Engine("replay:hash")) as other:
        pass
    with pytest.raises(EngineError, match="closed"):
        ask(other, [PROMPT])


def test_closing_waits_for_what_runs() -> None:
    mailbox = Mailbox()
    engine = Engine("replay:hash")
    asked = request(mailbox, PROMPT, max_new_tokens=200, ignore_eos=True)
    engine.submit([asked])
    engine.close()
    assert id(asked) in mailbox.ends
    assert_idle(engine)


def test_the_engine_has_one_thread(engine: Engine) -> None:
    before = threading.active_count()
    ask(engine, [[*PROMPT, i] for i in range(200)])
    assert threading.active_count() <= before + 1


def test_a_defective_request_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: object) -> None:
        raise RuntimeError("a defect")

    @sglc.function
    def one(s):  # type: ignore[no-untyped-def]
        s += "q" + sglc.gen("a", max_tokens=1)

    with sglc.Engine("replay:hash", kv_tokens=256) as own:
        with monkeypatch.context() as patched:
            patched.setattr("sglc.backend.engine.Sequence", defective)
            with pytest.raises(sglc.EngineError, match="RuntimeError: a defect"):
                one.run(backend=own)
        assert one.run(backend=own).error is None


def test_every_tokenized_text_and_masked_draw_is_counted() -> None:
    @sglc.function
    def one(s, n):  # type: ignore[no-untyped-def]
        s += f"row {n}" + sglc.gen("a", max_tokens=4, regex="[0-9]{3}")

    with sglc.Engine("replay:hash", kv_tokens=256) as own:
        one.run_batch([{"n": n} for n in range(5)], backend=own)
        assert own.counters.tokenizer_calls == 5
        assert own.counters.mask_time > 0
