"""Small versions of the benchmarks: their figures mean what their names say, and meet the bars beside time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks import cases, data, decode, fewshot, overhead, parity, ragged, traces
from benchmarks.recording import Exchange, RecordingEngine
from benchmarks.registry import Figures, Options
from benchmarks.requests import Job, complete
from benchmarks.workloads import agents, react
from sglc.backend.engine import Engine
from sglc.ir.sampling import SamplingParams

QUICK = Options(quick=True)
JUNIT = """<testsuites><testsuite>
<testcase classname="tests.cases.test_case_01" name="test_a[replay]"/>
<testcase classname="tests.cases.test_case_01" name="test_a[llama]"><failure/></testcase>
<testcase classname="tests.cases.test_case_02" name="test_a"/>
<testcase classname="tests.cases.test_case_02" name="test_b"><skipped/></testcase>
</testsuite></testsuites>"""


@pytest.fixture(params=["external", "synthetic"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a test on the external data, where there is some, and on its stand-in."""
    if request.param == "external":
        request.getfixturevalue("test_data")
    else:
        monkeypatch.delenv("SGLC_TEST_DATA", raising=False)
    return request.param  # type: ignore[no-any-return]


# overhead


def test_overhead_asks_prompts_of_fifteen_tokens(test_data: Path) -> None:
    tokenizer = data.gpt2()
    texts = [overhead.prompt(number) for number in range(0, 100_000, 997)]
    assert {len(tokenizer.encode(text)) for text in texts} == {15}
    assert len(set(texts)) == len(texts)


def test_overhead_measures_programs_and_steps(source: str) -> None:
    assert data.source() == source
    assert overhead.programs_per_second(100) > 100
    assert 0 < overhead.microseconds_per_sequence_step() < 1000


# cases


def test_cases_are_modules_and_clauses_are_functions() -> None:
    figures = cases.counted(ElementTree.fromstring(JUNIT))
    assert figures == {"cases": 2, "clauses": 3, "clause_runs": 4, "failed": 1, "skipped": 1}


# parity


def test_parity_holds_on_few_prompts() -> None:
    figures = parity.run(QUICK).figures
    for name in ("token_mismatches", "reference_mismatches", "sampled_mismatches"):
        assert figures[name] == 0
    assert 0 < figures["max_logprob_error"] <= 1e-9
    assert figures["preemptions"] > 0 and figures["sampled_preemptions"] > 0
    print({name: figures[name] for name in ("max_logprob_error", "preemptions", "sampled_preemptions")})


def test_parity_prompts_have_the_lengths_of_the_bar() -> None:
    assert sum(parity.BATCHES) == 200 and (min(parity.BATCHES), max(parity.BATCHES)) == (1, 64)
    lengths = [len(ids) for ids in parity.prompts(200, 2048)]
    assert (min(lengths), max(lengths)) == (1, 600)
    assert sum(length > 100 for length in lengths) > 40


def test_an_error_that_is_no_number_is_no_small_one() -> None:
    right = np.array([-2.0, 0.0])
    assert parity.relative_error(np.array([-2.0, 0.0]), right) == 0.0
    assert parity.relative_error(np.array([-2.002, 0.0]), right) == pytest.approx(1e-3)
    assert parity.relative_error(np.array([math.nan, 0.0]), right) > 1e9


# traces


def test_traces_equal_the_record_and_fill_what_a_serial_cache_fills(source: str) -> None:
    result = traces.run(QUICK)
    figures = result.figures
    assert result.notes["data"] == source
    assert figures["replay_mismatches"] == figures["agent_mismatches"] == figures["audit_errors"] == 0
    assert 0.98 <= figures["min_fill_ratio"] <= figures["max_fill_ratio"] <= 1.02
    assert figures["trie_difference"] == 0
    print({name: figures[name] for name in ("min_fill_ratio", "max_fill_ratio")})


def test_the_record_is_what_the_program_asks(source: str) -> None:
    rows = react.rows(2)
    said = react.expected(rows[0], data.gpt2())
    assert [text.count("\nAction ") for text in said] == [1] * len(rows[0]["steps"])
    assert len({row["prompt"] for row in agents.rows(20)}) > 5


def test_a_wrong_answer_counts(source: str) -> None:
    figures: Figures = {"wrong": 0, "audit_errors": 0, "preemptions": 0}
    calls = traces.Workload("agents", agents.agent_call, agents.rows(2), "replay:hash", data.gpt2())
    traces._measure(calls, ["not this", "nor this"], figures, "wrong", check=False)
    assert figures["wrong"] == 2 * (len(traces.BUDGETS) + 1) * len(traces.OPEN_ROWS)


def test_edges_that_decoding_made_are_counted_once() -> None:
    exchanges = [Exchange([1, 2], [3, 4]), Exchange([1, 2], [3, 4]), Exchange([1, 2, 3, 5], [6])]
    assert traces._decoded_edges(exchanges) == 1  # 3; the last one drawn has no KV
    assert traces._edges(exchanges) == 4


def test_recording_notes_every_token_drawn() -> None:
    params = SamplingParams(max_new_tokens=3, temperature=0.0, return_logprob=True, ignore_eos=True)
    with RecordingEngine("replay:hash") as engine:
        completion = complete(engine, [Job([5, 6, 7], params)])[0]
        assert isinstance(engine, RecordingEngine)
        assert engine.exchanges == [Exchange([5, 6, 7], completion.tokens.tolist())]
        with pytest.raises(ValueError, match="wanted return_logprob"):
            complete(engine, [Job([5], SamplingParams())])


# fewshot


def test_fewshot_computes_the_shared_prefix_once() -> None:
    result = fewshot.run(QUICK)
    figures = result.figures
    assert figures["tokens_filled"] == figures["tokens_filled_wanted"] == 128 + 8 * 16
    assert fewshot.Shape().fewest_filled == 1024 + 64 * 64
    for name in fewshot.PEERS:
        assert result.notes[f"peer_{name}"].startswith("not installed")
        assert f"time_vs_{name}" not in figures


def test_fewshot_compares_medians_of_peers_that_stayed() -> None:
    ours = fewshot.Side([1.0, 4.0, 2.0], [[1, 2], [3, 4]])
    theirs = {"vllm": fewshot.Side([5.0, 1.0, 9.0], [[1, 2], [4, 4]]), "transformers": fewshot.Side([1.0], [[1, 2]])}
    assert fewshot._compared(ours, theirs) == {
        "speedup_vs_vllm": 2.5,
        "time_vs_vllm": 0.4,
        "seconds_vllm": 5.0,
        "equal_tokens_vllm": 3,
    }


# decode


def test_decode_times_models_without_any_peer() -> None:
    result = decode.run(QUICK)
    figures = result.figures
    assert figures["qwen3_decode_vs_llama"] == figures["qwen3_decode_ms_sglc"] / figures["decode_ms_sglc"]
    assert figures["qwen3_prefill_vs_llama"] > 0 < figures["gpt2_prefill128_ms_sglc"]
    assert not any(name.endswith(("vllm", "llamacpp", "transformers")) for name in figures)
    for name in ("vllm", "llama.cpp", "transformers", "gpt2_transformers"):
        assert result.notes[f"peer_{name}"].startswith("not installed")


def test_a_token_takes_what_a_longer_answer_takes_more() -> None:
    shape = decode.Shape(prompt=10, tokens=5, long_prompt=100, vocab=50)
    asked: list[tuple[int, int]] = []

    def ask(tokens: Sequence[int], count: int) -> tuple[float, list[int]]:
        asked.append((len(tokens), count))
        return 0.001 * len(tokens) + 0.25 * (count - 1), [7] * count

    twice_as_slow = decode.Side(lambda tokens, count: (2 * ask(tokens, count)[0], [7] * (count - 1) + [8]))
    gone = decode.Side(lambda tokens, count: None)
    sides = {
        ("llama", "sglc"): decode.Side(ask),
        ("llama", "llama.cpp"): twice_as_slow,
        ("llama", "vllm"): gone,
        ("qwen3", "sglc"): decode.Side(ask),
    }
    for side in sides.values():
        side.take_turn(shape)
    assert asked[:4] == [(100, 2), (10, 5), (10, 1), (100, 1)]
    figures = decode._figures(sides, shape, runs=1)
    assert figures["decode_ms_sglc"] == pytest.approx(250) and figures["prefill100_ms_llamacpp"] == pytest.approx(200)
    assert figures["decode_vs_llamacpp"] == figures["prefill_vs_llamacpp"] == pytest.approx(0.5)
    assert figures["equal_tokens_llamacpp"] == 4 and figures["qwen3_decode_vs_llama"] == 1
    assert "decode_ms_vllm" not in figures


# ragged


def test_ragged_compares_together_with_apart() -> None:
    figures = ragged.run(QUICK).figures
    apart = figures["seconds_short"] + figures["seconds_long"]
    assert figures["ragged_ratio"] == pytest.approx(figures["seconds_together"] / apart)
    assert figures["ragged_ratio"] < 3


# requests


def test_completions_come_in_the_order_of_the_jobs_and_errors_are_raised() -> None:
    params = SamplingParams(max_new_tokens=2, temperature=0.0, ignore_eos=True)
    with Engine("replay:hash", kv_tokens=64) as engine:
        assert [c.prompt_tokens for c in complete(engine, [Job([1] * n, params) for n in (5, 1, 3)])] == [5, 1, 3]
        with pytest.raises(Exception, match="wanted at most 64"):
            complete(engine, [Job([1] * 100, params)])
