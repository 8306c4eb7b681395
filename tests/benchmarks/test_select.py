"""A small version of the benchmark of choices: its figures mean what their names say, and meet the bars beside time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import data, select
from benchmarks.checkpoint import save_llama
from benchmarks.workloads.multiple_choice import hellaswag_rows, mmlu_rows
from sglc.backend.tokenizer import Tokenizer

SHAPE = replace(select.QUICK, rows=6, exact_rows=2)


@pytest.fixture(params=["external", "synthetic"], autouse=True)
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test on the external data, where there is some, and on its stand-in."""
    if request.param == "external":
        request.getfixturevalue("test_data")
    else:
        monkeypatch.delenv("SGLC_TEST_DATA", raising=False)


def test_choosing_costs_the_inner_nodes_and_no_pass() -> None:
    figures = select.counted(SHAPE)
    assert figures["abcd_extra_tokens"] == figures["abcd_extra_passes"] == figures["hellaswag_extra_passes"] == 0
    assert figures["hellaswag_scored"] == figures["hellaswag_inner_nodes"] > 50
    assert figures["abcd_o0_extra_tokens"] == 3 * figures["abcd_rows"] == 3 * 6
    assert figures["hellaswag_o0_scored"] >= figures["hellaswag_scored"] + 3 * 6


def test_choosing_decides_as_the_reference_does() -> None:
    figures = select.exact(SHAPE)
    assert figures["decision_mismatches"] == 0 < figures["decisions"]
    assert figures["logprob_error"] <= 1e-9


def test_inner_nodes_are_counted_by_hand() -> None:
    tokenizer = Tokenizer.packaged()
    (yes,), (but,) = tokenizer.encode(" yes"), tokenizer.encode(" but")
    prompt = (*tokenizer.prefix, *tokenizer.encode("So"))
    assert select.sequences_of(tokenizer, "So", [" yes"]) == [((*prompt, yes), len(prompt))]
    choices = [" yes", " yes but", " yes but yes", " yes yes", " but"]
    assert yes != but
    assert select.inner_nodes(tokenizer, "So", choices) == 2
    assert select.inner_nodes(tokenizer, "So", [" yes", " but"]) == 0


def test_both_levels_are_timed(tmp_path: Path) -> None:
    examples, rows = hellaswag_rows(SHAPE.rows, SHAPE.shots)
    checkpoint = save_llama(tmp_path, 96, 1, data.gpt2().vocab_size)
    for level in (2, 0):
        assert 0 < select.seconds_of(checkpoint, SHAPE, examples, rows, level) < 60


def test_questions_have_the_shape_of_the_bar() -> None:
    rows = mmlu_rows(2, 3)
    assert len(rows) == 6 and len({row["examples"] for row in rows}) == 2
    for row in rows:
        assert row["examples"].count("\nAnswer:") == 5
        assert row["question"].endswith("\nAnswer:")
    examples, endings = hellaswag_rows(4, 20)
    assert examples.count("\n\n") == 20
    assert [len(row["endings"]) for row in endings] == [4] * 4
