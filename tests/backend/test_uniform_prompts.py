"""What is the same in every row of a plan is computed once, when the plan meets its engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import sglc
from sglc.backend.plan import BoundPlan, Plan
from sglc.backend.transcript import Transcript
from sglc.ir.graph import Graph
from sglc.ir.parser import parse
from sglc.ir.sampling import SamplingParams
from sglc.language.loop import ProgramLoop
from sglc.language.row import Row
from sglc.passes.base import Pass, Remarks, Target
from sglc.passes.batch_forks import BatchForks
from sglc.passes.hoist_prefix import HoistPrefix
from sglc.passes.order_rows import OrderRows
from sglc.passes.settle_seams import SettleSeams
from tests.passes.plan_meaning import elsewhere

CHAT = """
plan @chat(%question: text) {
  %0 = start : prompt
  %p = open %0 {role = "system"} : prompt
  %1 = const {value = "Be terse. Be kind."} : text
  %p_1 = extend %p, %1 : prompt
  %p_2 = close %p_1 {role = "system"} : prompt
  %p_3 = open %p_2 {role = "user"} : prompt
  %p_4 = extend %p_3, %question : prompt
  %2, %answer = decode %p_4 {site = ":0"} : prompt, text
  return %2, answer = %answer
}
"""
FORKS = """
plan @judge(%essay: text, %aspect: text) {
  %0 = start : prompt
  %1 = const {value = "Here is an essay. Read it: "} : text
  %2 = const {value = "\\n\\nNow rate it: "} : text
  %p = extend %0, %1, %essay, %2 : prompt
  %p_1 = extend %p, %aspect : prompt
  %3, %one = decode %p_1 {site = "/0.0.0:0"} : prompt, text
  %4, %two = decode %p {site = "/0.0.1:0"} : prompt, text
  return %4, one = %one, two = %two
}
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[sglc.Engine]:
    """An engine with the packaged tokenizer."""
    with closing(sglc.Engine("replay:hash", kv_tokens=4096)) as engine:
        yield engine


def made(text: str, engine: sglc.Engine, *passes: Pass) -> Graph:
    """Return a plan behind passes."""
    graph = parse(text)
    for each in passes:
        graph = each.run(graph, Target(wording=engine.tokenizer), Remarks())
    return graph


def bound(graph: Graph, engine: sglc.Engine) -> BoundPlan:
    """Return a plan on an engine."""
    plan = Plan(graph).bind(engine, SamplingParams())
    assert plan is not None
    return plan


def test_the_tokens_that_all_rows_begin_with_are_pinned(engine: sglc.Engine) -> None:
    plan = bound(made(CHAT, engine, SettleSeams(), HoistPrefix()), engine)
    special = engine.tokenizer.special_ids
    text = engine.tokenizer.encode("system\nBe terse. Be kind.")
    wanted = [special["<|im_start|>"], *text, special["<|im_end|>"], *engine.tokenizer.encode("\n")]
    assert [ids.tolist() for ids in plan.pinned] == [[*wanted, special["<|im_start|>"]]]
    calls = engine.tokenizer.calls
    assert bound(made(CHAT, engine, SettleSeams(), HoistPrefix()), engine).pinned
    assert engine.tokenizer.calls == calls  # all is remembered


def test_rows_only_run_what_differs(engine: sglc.Engine) -> None:
    plan = bound(made(CHAT, engine, SettleSeams(), HoistPrefix()), engine)
    assert [type(each).__name__ for each in plan.plan.first.instructions] == ["_Extend", "Decode"]
    known = [value for value in plan.values if isinstance(value, Transcript)]
    assert known[-1].text == "<|im_start|>system\nBe terse. Be kind.<|im_end|>\n<|im_start|>user\n"


def test_without_the_pass_nothing_is_pinned(engine: sglc.Engine) -> None:
    assert not bound(parse(CHAT), engine).pinned


def test_text_that_no_tokenizer_takes_leaves_the_plan(engine: sglc.Engine) -> None:
    """The program runs eagerly then, and says what is wrong."""
    graph = made(CHAT.replace("terse", "\\ud83d"), engine, SettleSeams(), HoistPrefix())
    assert Plan(graph).bind(engine, SamplingParams()) is None


def test_rows_are_ranked_by_a_prompt_that_is_not_tokenized_yet(engine: sglc.Engine) -> None:
    graph = made(FORKS, engine, SettleSeams(), HoistPrefix(), OrderRows(), BatchForks())
    assert [op.name for op in graph.ops()].count("settle") == 1
    plan = bound(graph, engine)
    with closing(ProgramLoop(engine)) as loop:
        given: dict[str, Any] = {"essay": "It is short.", "aspect": "style"}
        row = Row(loop, elsewhere.func, given, SamplingParams(), 0, streamed=False)
        row.bound = plan
        row.begin(park=True)
        assert row.rank.startswith("Here is an essay. Read it: It is short.\n\nNow rate it: style")
