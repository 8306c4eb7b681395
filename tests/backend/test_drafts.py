"""What is expected is computed ahead and verified: the same tokens, texts and figures in fewer forward passes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import pytest

import sglc
from sglc.automata.constraint import Constraint
from sglc.automata.token_constraint import TokenConstraint, compile_regex
from sglc.backend.counters import Counters
from sglc.backend.engine import Engine
from sglc.backend.random_stream import stream_key
from sglc.backend.request import Completion, Request
from sglc.backend.step import Step
from sglc.backend.timeline import Timeline
from tests.asking import Mailbox, assert_idle, request, watch
from tests.conftest import FULL
from tests.drafting import RECORD, Drafting, Guess, continuations, forced_texts, unreliable
from tests.predictions import check_predictions

WORDS = "[a-z]{2,4}( [a-z]{2,9}){0,9}"
CROWD = 14

PLAIN: dict[str, Any] = {"max_new_tokens": 48}
SAMPLED: dict[str, Any] = {"max_new_tokens": 40, "temperature": 1.5, "top_p": 0.9, "return_logprob": True}
PENALIZED: dict[str, Any] = {
    "max_new_tokens": 30,
    "temperature": 0.7,
    "min_p": 0.01,
    "top_k": 50,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.3,
    "repetition_penalty": 1.3,
    "logit_bias": {100: 3.0, 300: -2.0},
    "min_new_tokens": 5,
    "return_logprob": True,
    "top_logprobs_num": 3,
    "return_text_in_logprobs": True,
}
STOPPED: dict[str, Any] = {
    "max_new_tokens": 40,
    "temperature": 1.0,
    "stop": ["ou", 'e": "', "q"],
    "stop_regex": "[a-c]{2}",
}
ENDING: dict[str, Any] = {"max_new_tokens": 25, "stop_token_ids": [*range(300, 2048, 7)], "return_logprob": True}
HURRIED: dict[str, Any] = {"max_new_tokens": 30, "min_new_tokens": 6, "logit_bias": {3: 40.0}}  # 3 is the end of text
WAYS = {
    "plain": PLAIN,
    "sampled": SAMPLED,
    "penalized": PENALIZED,
    "stopped": STOPPED,
    "ending": ENDING,
    "hurried": HURRIED,
}


def crowd(
    mailbox: Mailbox, constraints: Sequence[Constraint | None], params: dict[str, Any], *, streamed: bool = False
) -> list[Request]:
    """Return requests of different lengths that share beginnings, each under one of the constraints."""
    return [
        request(
            mailbox,
            [0, *range(40, 40 + 3 * (age % 5)), 500 + age % 6],
            age,
            constraint=constraints[age % len(constraints)],
            stream_key=stream_key(0, age, ":0"),
            streamed=streamed,
            score_from=0 if age == 4 and "return_logprob" in params else None,
            **params,
        )
        for age in range(CROWD)
    ]


def ended(engine: Engine, constraints: Sequence[Constraint | None], params: dict[str, Any]) -> list[Completion]:
    """Return how a crowd ends."""
    mailbox = Mailbox()
    asked = crowd(mailbox, constraints, params)
    engine.submit(asked)
    ends = mailbox.wait(asked)
    assert all(isinstance(end, Completion) for end in ends), ends
    return ends  # type: ignore[return-value]


def assert_same(found: Sequence[Completion], wanted: Sequence[Completion]) -> None:
    """Check all that does not depend on who ran when."""
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.tokens.tolist() == theirs.tokens.tolist()
        assert (mine.text, mine.tail, mine.finish) == (theirs.text, theirs.tail, theirs.finish)
        assert mine.completion_tokens == theirs.completion_tokens
        for ours, others in (
            (mine.input_logprobs, theirs.input_logprobs),
            (mine.output_logprobs, theirs.output_logprobs),
            ([each for top in mine.output_top for each in top], [each for top in theirs.output_top for each in top]),
        ):
            assert [entry[1:] for entry in ours] == [entry[1:] for entry in others]
            logprobs = [
                [np.nan if entry.logprob is None else entry.logprob for entry in side] for side in (ours, others)
            ]
            np.testing.assert_allclose(logprobs[0], logprobs[1], rtol=0, atol=1e-9)


class Plain:
    """What engines without drafts say, and drafts that are often right about it."""

    def __init__(self, spec: Any, **options: Any) -> None:
        self._spec = spec
        self._options = options
        self._said: dict[str, tuple[list[Completion], Counters, list[Constraint | None]]] = {}

    def engine(self, **options: Any) -> closing[Engine]:
        """Return an engine of the model."""
        return closing(Engine(self._spec, check=True, **self._options | options))

    def said(self, name: str, seed: int = 0) -> tuple[list[Completion], Counters, list[Constraint | None]]:
        """Return what comes of the parameters of this name without drafts, at what cost, and constraints that draft."""
        if name not in self._said:
            with self.engine(drafts=False, kv_tokens=4096) as engine:
                constraints = [compile_regex(RECORD, engine.vocabulary), compile_regex(WORDS, engine.vocabulary)]
                ends = ended(engine, [*constraints, None], WAYS[name])
                assert engine.counters.drafted == engine.counters.accepted == 0
                drafting: list[Constraint | None] = [None]
                for place, constraint in reversed([*enumerate(constraints)]):
                    outputs = [end.tokens.tolist() for end in ends[place::3]]
                    known = continuations(constraint, outputs)
                    drafting.insert(0, Drafting(constraint, unreliable(known, engine.vocabulary.width, seed)))
                self._said[name] = ends, engine.counters.copy(), drafting
        return self._said[name]


@pytest.fixture(scope="module")
def replayed() -> Plain:
    """The replay model, which audits the KV it reads."""
    return Plain("replay:hash")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """A small random Llama in float64."""
    from tests.checkpoints import save_checkpoint
    from tests.tokenizers import small

    tokenizer = small()
    ids = {"bos_token_id": tokenizer.prefix[0], "eos_token_id": tokenizer.eos_id}
    folder = save_checkpoint("llama", tmp_path_factory.mktemp("llama"), vocab_size=tokenizer.vocab_size, **ids)
    return Plain(folder, tokenizer=tokenizer, dtype="float64")


OPTIONS: list[dict[str, Any]] = [
    {"kv_tokens": 4096},
    {"kv_tokens": 4096, "cache": False},
    {"kv_tokens": 4096, "max_step_tokens": 9, "max_running": 5},
    {"kv_tokens": 4096, "max_step_tokens": 1, "max_running": 3},
    {"kv_tokens": 90},
    {"kv_tokens": 63, "max_step_tokens": 20},
    {"kv_tokens": 150, "cache": False},
]


COMBINED = [
    (name, options)
    for i, options in enumerate(OPTIONS)
    for j, name in enumerate(WAYS)
    if FULL or i == 0 or j == i % len(WAYS)
]


@pytest.mark.parametrize(("name", "options"), COMBINED, ids=str)
def test_drafts_change_nothing(replayed: Plain, name: str, options: dict[str, Any]) -> None:
    wanted, counted, drafting = replayed.said(name)
    with replayed.engine(**options) as engine:
        steps: list[Step] = []
        watch(engine, steps.append)
        assert_same(ended(engine, drafting, WAYS[name]), wanted)
        counters = engine.counters
        assert (counters.decoded, counters.forced) == (counted.decoded, counted.forced)
        assert counters.drafted >= counters.accepted
        assert max(int(step.lengths.sum()) for step in steps) <= options.get("max_step_tokens", 2048)
        assert counters.peak_kv <= options["kv_tokens"]
        if options == {"kv_tokens": 4096}:
            assert counters.drafted > counters.accepted > 20
            assert counters.forward_passes <= counted.forward_passes
            assert counters.sequence_steps == counted.sequence_steps - counters.accepted
            assert (counters.filled, counters.cached) == (counted.filled, counted.cached)
    assert_idle(engine)


@pytest.mark.parametrize("seed", range(100 if FULL else 3))
def test_drafts_of_any_kind_change_nothing(replayed: Plain, seed: int) -> None:
    name = [*WAYS][seed % len(WAYS)]
    wanted, _, drafting = Plain("replay:hash").said(name, seed + 1)
    with replayed.engine(kv_tokens=(4096, 100)[seed % 2], max_step_tokens=(2048, 30, 11)[seed % 3]) as engine:
        assert_same(ended(engine, drafting, WAYS[name]), wanted)
    assert_idle(engine)


def test_preemption_happens_in_these_tests(replayed: Plain) -> None:
    with replayed.engine(kv_tokens=90) as engine:
        ended(engine, replayed.said("plain")[2], PLAIN)
        assert engine.counters.preemptions > 0
        assert engine.counters.accepted > 0


@pytest.mark.parametrize("name", WAYS if FULL else ["plain", "sampled", "penalized"])
def test_drafts_change_nothing_that_a_network_says(llama: Plain, name: str) -> None:
    wanted, counted, drafting = llama.said(name)
    for options in ({"kv_tokens": 4096}, {"kv_tokens": 110, "max_step_tokens": 40}):
        with llama.engine(**options) as engine:
            assert_same(ended(engine, drafting, WAYS[name]), wanted)
            assert engine.counters.decoded == counted.decoded
            assert engine.counters.accepted > 20
        assert_idle(engine)


def test_streams_have_the_same_texts(replayed: Plain) -> None:
    wanted, _, drafting = replayed.said("stopped")
    with replayed.engine(kv_tokens=120) as engine:
        mailbox = Mailbox()
        asked = crowd(mailbox, drafting, STOPPED, streamed=True)
        engine.submit(asked)
        assert_same(mailbox.wait(asked), wanted)  # type: ignore[arg-type]
        assert [mailbox.streamed(each) for each in asked] == [end.text for end in wanted]
        counts = [[delta.completion_tokens for delta in mailbox.deltas.get(id(each), ())] for each in asked]
        assert all(count == sorted(count) for count in counts)
    assert_idle(engine)


def test_cancelled_drafts_leave_nothing_behind(replayed: Plain) -> None:
    wanted, _, drafting = replayed.said("plain")
    with replayed.engine(kv_tokens=200) as engine:
        mailbox = Mailbox()
        asked = crowd(mailbox, drafting, PLAIN, streamed=True)
        steps = 0

        def cancel(step: Step) -> None:
            nonlocal steps
            steps += 1
            if steps <= 3:
                asked[2 * steps + 1].cancelled = True

        watch(engine, cancel)
        engine.submit(asked)
        kept = [place for place in range(CROWD) if place not in (3, 5, 7)]
        assert_same(mailbox.wait([asked[place] for place in kept]), [wanted[place] for place in kept])  # type: ignore[arg-type]
    assert_idle(engine)


def test_a_failed_step_gives_the_drafted_slots_back(replayed: Plain) -> None:
    wanted, _, drafting = replayed.said("plain")
    with replayed.engine(kv_tokens=4096) as engine:
        mailbox = Mailbox()
        asked = crowd(mailbox, drafting, PLAIN)

        def fail(step: Step) -> None:
            if step.lengths.max() > 1 and engine.counters.decoded:
                raise RuntimeError("lost")

        watch(engine, fail)
        engine.submit(asked)
        assert sum("RuntimeError: lost" in str(end) for end in mailbox.wait(asked)) > CROWD // 2
    assert_idle(engine)
    with replayed.engine(kv_tokens=4096) as engine:
        assert_same(ended(engine, drafting, PLAIN), wanted)


@pytest.mark.parametrize("options", [{}, {"max_step_tokens": 6}, {"kv_tokens": 90}, {"drafts": False}], ids=str)
def test_a_tape_foretells_runs_with_other_drafts(replayed: Plain, options: dict[str, Any]) -> None:
    """What is behind a wrong draft is not on a tape, so that none needs to be."""
    from sglc.backend.playing import played
    from sglc.backend.recording import recorded
    from sglc.backend.tape import Tape

    wanted, counted, drafting = replayed.said("sampled")
    tape = Tape()
    with replayed.engine(kv_tokens=4096) as engine:
        with recorded(engine, tape) as recorder:
            assert_same(ended(recorder, drafting, SAMPLED), wanted)
        assert len(tape.draws) == counted.decoded
    with replayed.engine(**{"kv_tokens": 4096} | options) as other, played(other, tape) as player:
        assert_same(ended(player, drafting, SAMPLED), wanted)
        ended(other, drafting, SAMPLED)
        for name in ("decoded", "drafted", "accepted", "forward_passes", "filled", "refilled", "relogit", "peak_kv"):
            assert getattr(player.counters, name) == getattr(other.counters, name), name


@pytest.mark.parametrize("options", [{"kv_tokens": 4096}, {"kv_tokens": 300, "max_step_tokens": 40}], ids=str)
def test_programs_with_drafts_cost_what_was_foretold(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    @sglc.function
    def records(s, topic: str):
        s += "About " + topic + ": " + sglc.gen("record", regex=RECORD, max_tokens=50)
        s += "\nSo " + sglc.gen("words", regex=WORDS, max_tokens=20, temperature=0) + "."

    with closing(Engine("replay:hash", check=True, **options)) as engine:
        guesses: dict[TokenConstraint, Guess] = {}

        def draft(self: TokenConstraint, state: Hashable) -> Sequence[int]:
            return guesses.setdefault(self, forced_texts(self, engine.tokenizer))(state)

        monkeypatch.setattr(TokenConstraint, "draft", draft)
        rows = [{"topic": topic} for topic in ("clocks", "rain", "clocks and bells", "letters")]
        assert check_predictions(records, rows, engine) is not None
        records.run_batch(rows, backend=engine)
        assert engine.counters.drafted > 0


def test_a_timeline_shows_all_tokens_drawn(replayed: Plain) -> None:
    drafting = replayed.said("plain")[2]
    with replayed.engine(kv_tokens=4096) as engine:
        engine.observer = timeline = Timeline()
        ended(engine, drafting, PLAIN)
        assert sum(step.decoded for step in timeline.steps) == engine.counters.decoded
