"""A run is foretold to the token once it is known what the model says, and bounded before."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sglc
from sglc.backend.longest import at_full_length
from sglc.backend.playing import OffTape, played
from sglc.backend.prediction import Prediction, predict
from sglc.backend.recording import recorded
from sglc.backend.tape import Tape
from sglc.commands.program_file import load_program
from sglc.language.function import SglFunction
from sglc.passes.pipeline import PIPELINE
from sglc.rows import Signature, read_rows
from tests.conftest import FULL
from tests.predictions import check_predictions
from tests.program_sources import loaded, program_source

PROGRAMS = sorted((Path(__file__).resolve().parent.parent.parent / "programs").glob("*.py"))
WORDS = ("clocks", "clocks and bells", "rain", "clocks", "letters, long ones, of many pages", "")
ROWS = [{"topic": WORDS[number % len(WORDS)]} for number in range(16)]

MakeEngine = Callable[..., sglc.Engine]


@sglc.function
def varied(s, topic: str):
    s += "Something about " + topic + ", in many words and then in few.\n"
    forks = s.fork(2)
    for number, fork in enumerate(forks):
        fork += f"Part {number}:" + sglc.gen("part", max_tokens=12, stop=["\n", "e"]) + "."
    s += "Short:" + sglc.gen("short", max_tokens=6, temperature=0)
    if s["short"] == "":
        s += "Nothing!" + sglc.gen("more", max_tokens=3)
    forks.join()
    s += "\nAll: " + " ".join(s["part"]) + sglc.select("grade", choices=["good", "good enough", "bad"])
    s += sglc.gen("digits", regex="[0-9]{2,5}", temperature=0) + sglc.gen("free", max_tokens=4, temperature=0)


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    """Make engines of the audited replay model that are closed at the end."""
    with contextlib.ExitStack() as made:
        yield lambda **options: made.enter_context(sglc.Engine("replay:hash", **options))


def rows_of(path: Path, program: SglFunction) -> list[dict[str, Any]]:
    """Return the rows that belong to a program of `programs/`."""
    signature = Signature(tuple(program.arg_names), frozenset(program.required))
    return [row.fields for row in read_rows(path.parent / "rows" / f"{path.stem}.jsonl", signature)]


def cost(program: SglFunction, rows: list[dict[str, Any]], engine: sglc.Engine, **options: Any) -> Prediction:
    """Run rows on an engine and return what they cost."""
    program.run_batch(rows, backend=engine, **options)
    return Prediction.of(engine.counters)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_cost_what_was_foretold(path: Path, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    program = load_program(str(path)).function
    engine = make_engine(chat_template="chatml")
    for level in range(4) if FULL else (2,):
        assert check_predictions(program, rows_of(path, program), engine, optimize=level) is not None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv_tokens": 260},
        {"kv_tokens": 900, "max_running": 5},
        {"max_step_tokens": 16, "max_running": 64},
        {"cache": False, "kv_tokens": 3000},
        {"max_running": 1},
        {"kv_tokens": 300, "max_step_tokens": 5},
    ],
    ids=str,
)
def test_any_engine_costs_what_was_foretold(options: dict[str, Any], make_engine: MakeEngine) -> None:
    rows = ROWS[:3] if min(options.values(), default=99) < 10 else ROWS[:10]  # small steps are many
    for level in (0, 2) if FULL else (2,):
        assert check_predictions(varied, rows, make_engine(check=True, **options), optimize=level, temperature=0.9)


@pytest.mark.parametrize("chunk", range(4))
def test_random_programs_cost_what_was_foretold(chunk: int, make_engine: MakeEngine) -> None:
    """A quarter of the seeds each, on an engine and at a level of its own."""
    options = ({}, {"kv_tokens": 400}, {"max_step_tokens": 9, "kv_tokens": 900}, {"max_running": 3})[chunk]
    engine, foretold = make_engine(chat_template="chatml", **options), 0
    for number in range(200 if FULL else 2):
        source = program_source(4 * number + chunk)
        with loaded(source) as (module, _), contextlib.redirect_stdout(io.StringIO()):
            rows, level = source.rows, (0, 2, 2, 3)[number % 4]
            foretold += check_predictions(module.program, rows, engine, level, **source.sampling) is not None
    assert foretold or not FULL


def test_several_samples_and_log_probabilities(make_engine: MakeEngine) -> None:
    @sglc.function
    def sampled(s, topic: str):
        s += topic + " is" + sglc.gen("several", n=3, max_tokens=5, return_logprob=True, top_logprobs_num=2)
        s += "!" + sglc.gen("one", max_tokens=5, return_logprob=True, logprob_start_len=1)
        s += sglc.gen("none", max_tokens=0, return_logprob=True, logprob_start_len=0, top_logprobs_num=4)

    check_predictions(sampled, ROWS[:7], make_engine(kv_tokens=300))


def test_a_tape_foretells_other_settings(make_engine: MakeEngine) -> None:
    """Other passes, another budget, other steps: the model would say the same."""
    engine, tape = make_engine(), Tape()
    with recorded(engine, tape) as recorder:
        varied.run_batch(ROWS, backend=recorder)
    for options in ({"optimize": 0}, {"optimize": [*PIPELINE[:6]]}, {"outputs": ["grade"]}):
        foretold = predict(
            lambda other, options=options: varied.run_batch(ROWS, backend=other, **options), engine, tape
        )
        assert foretold == cost(varied, ROWS, make_engine(), **options)
    for options in ({"concurrency": 5}, {"optimize": 0}):
        small = make_engine(kv_tokens=170, max_step_tokens=32)
        foretold = predict(lambda other, options=options: varied.run_batch(ROWS, backend=other, **options), small, tape)
        assert foretold == cost(varied, ROWS, make_engine(kv_tokens=170, max_step_tokens=32), **options)
    assert foretold.filled is not None and foretold.filled > recorder.counters.filled


def test_what_is_played_comes_out_as_it_did(make_engine: MakeEngine) -> None:
    engine, tape = make_engine(), Tape()
    with recorded(engine, tape) as recorder:
        states = varied.run_batch(ROWS, backend=recorder)
    with played(engine, tape) as player:
        again = varied.run_batch(ROWS, backend=player, optimize=0)
    assert [state.text() for state in again] == [state.text() for state in states]


@pytest.mark.parametrize(
    "asked", [{"rows": [{"topic": "snow"}]}, {"temperature": 0.5}, {"seed": 3}, {"max_new_tokens": 30}], ids=str
)
def test_what_was_not_recorded_is_an_error(asked: dict[str, Any], make_engine: MakeEngine) -> None:
    @sglc.function
    def plain(s, topic: str):
        s += "About " + topic + ":" + sglc.gen("text", ignore_eos=True)

    engine, tape = make_engine(), Tape()
    sampling = {"max_new_tokens": 8, "temperature": 1.0} | {k: v for k, v in asked.items() if k != "rows"}
    with recorded(engine, tape) as recorder:
        plain.run_batch(ROWS[:3], backend=recorder, max_new_tokens=8, temperature=1.0)
    if asked == {"temperature": 0.5}:  # the same draws, whatever they are drawn from
        predict(lambda other: plain.run_batch(ROWS[:3], backend=other, **sampling), engine, tape)
        return
    with pytest.raises(OffTape, match=r"found a draw behind [0-9]+ tokens that the recorded run did not ask for"):
        predict(lambda other: plain.run_batch(asked.get("rows", ROWS[:3]), backend=other, **sampling), engine, tape)


def test_host_code_is_not_called_again(make_engine: MakeEngine) -> None:
    made: list[str] = []

    def look_up(query: str) -> str:
        made.append(query)
        if len(made) == 2:
            raise KeyError(query)
        return f"{len(made)} of {query}"

    @sglc.function
    def asking(s, topic: str):
        s += "Look up:" + sglc.gen("query", max_tokens=4)
        s += "\nFound: " + sglc.call(look_up, s["query"]) + "\nSo:" + sglc.gen("answer", max_tokens=4)

    engine, tape = make_engine(), Tape()
    with recorded(engine, tape) as recorder:
        states = asking.run_batch(ROWS[:4], backend=recorder)
    assert len(made) == 4
    assert sum(state.error is not None for state in states) == 1
    foretold = predict(lambda other: asking.run_batch(ROWS[:4], backend=other), engine, tape)
    assert len(made) == 4
    assert (foretold.filled, foretold.decoded) == (recorder.counters.filled, recorder.counters.decoded)
    with pytest.raises(OffTape, match=r"found call 0 of row 4|found a draw"):
        predict(lambda other: asking.run_batch(ROWS[:5], backend=other), engine, tape)
    assert len(made) == 4


def test_slow_host_code_is_noted(make_engine: MakeEngine) -> None:
    def slow(query: str) -> str:
        time.sleep(0.05)
        return query

    @sglc.function
    def waiting(s, topic: str):
        s += sglc.call(slow, topic) + ":" + sglc.gen("answer", max_tokens=4)

    tape = Tape()
    with recorded(make_engine(), tape) as recorder:
        waiting.run_batch(ROWS[:2], backend=recorder)
    assert tape.slow == 2


def test_what_the_model_refuses_it_refuses_again(make_engine: MakeEngine, tmp_path: Path) -> None:
    """A recording of two prompts, of which a program asks a third."""
    tokenizer = make_engine().tokenizer
    lines = [
        f'{{"prompt": {[*tokenizer.prefix, *tokenizer.encode(text, at_start=True)]}, "output": [300, 301]}}'
        for text in ("about clocks", "about rain")
    ]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(lines), encoding="utf-8")

    @sglc.function
    def about(s, topic: str):
        s += "about " + topic + sglc.gen("text", max_tokens=4)

    rows, tape = [{"topic": "clocks"}, {"topic": "snow"}, {"topic": "rain"}], Tape()
    with contextlib.closing(sglc.Engine(f"replay:{trace}")) as engine:
        with recorded(engine, tape) as recorder:
            states = about.run_batch(rows, backend=recorder)
        assert [state.error is not None for state in states] == [False, True, False]
        with played(engine, tape) as player:
            again = about.run_batch(rows, backend=player)
        assert [str(state.error) for state in again] == [str(state.error) for state in states]


def test_a_real_model_is_foretold(make_engine: MakeEngine, tmp_path: Path) -> None:
    """A small random Llama, whose greedy choices a batch may round either way."""
    from tests.checkpoints import save_checkpoint

    tokenizer = make_engine().tokenizer
    ids = {"bos_token_id": tokenizer.prefix[0], "eos_token_id": tokenizer.eos_id}
    folder = save_checkpoint("llama", tmp_path, vocab_size=tokenizer.vocab_size, **ids)
    with contextlib.closing(sglc.Engine(folder, tokenizer=tokenizer, dtype="float32", kv_tokens=400)) as engine:
        tape = check_predictions(varied, ROWS[:8], engine, temperature=0.7)
        assert tape is not None and tape.draws
        foretold = predict(lambda other: varied.run_batch(ROWS[:8], backend=other, temperature=0.7), engine, tape)
        assert foretold.decoded == len(tape.draws)


def test_outputs_of_full_length(make_engine: MakeEngine) -> None:
    @sglc.function
    def lengthy(s, topic: str):
        s += topic + sglc.gen("a", max_tokens=20, stop=["e", "\n"]) + sglc.gen("b", max_tokens=10, min_tokens=2)
        s += sglc.gen("digits", regex="[0-9]{3}[a-z]*", max_tokens=9, temperature=0)

    with at_full_length(make_engine(), ["e", "\n"]) as longest:
        states = lengthy.run_batch(ROWS, backend=longest, temperature=0.7)
    assert [state.error for state in states] == [None] * len(ROWS)
    assert all(state.get_meta_info("a")["completion_tokens"] == 20 for state in states)
    assert all(state.get_meta_info("b")["completion_tokens"] == 10 for state in states)
    assert all("e" not in state["a"] for state in states)
    assert all(state["digits"][:3].isdigit() and len(state["digits"]) > 3 for state in states)
    assert len({state["a"] for state in states}) > len(ROWS) // 2


def test_host_code_is_not_called_where_it_is_only_foretold(make_engine: MakeEngine) -> None:
    made: list[str] = []

    @sglc.function
    def calling(s, topic: str):
        s += sglc.call(made.append, topic) or "nothing"

    with at_full_length(make_engine()) as longest:
        (state,) = calling.run_batch(ROWS[:1], backend=longest)
    assert isinstance(state.error, sglc.EngineError)
    assert not made
