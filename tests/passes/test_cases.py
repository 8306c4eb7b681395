"""Golden cases: what each pass makes of a graph, written down, and that it means the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest

import sglc
from sglc.ir.parser import parse
from sglc.passes.base import Keeps
from tests.passes.cases import Case, case_files, read_cases, update, written
from tests.passes.meaning import check_same, meaning, random_row
from tests.passes.plan_meaning import observe

ROWS = 8

CASES = [case for file in case_files() for case in read_cases(file)[1]]


@pytest.fixture(scope="module")
def engine() -> Iterator[sglc.Engine]:
    """The audited replay model, for plans."""
    with closing(sglc.Engine("replay:hash", check=True, kv_tokens=4096, chat_template="chatml")) as engine:
        yield engine


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: Case, request: pytest.FixtureRequest) -> None:
    """The pass comes to what is written, says what is written, and changes nothing when it is run again."""
    assert written(parse(case.before), case.before) == case.before
    found = case.run(case.before, case.passes)
    if request.config.getoption("--update"):
        update(case, found)
        return
    assert case.closed, "found no graph behind `=>`; pytest --update writes it"
    after = case.before if case.after is None else case.after
    assert written(found.stages[-1].graph, case.before) == after
    assert written(parse(after), after) == after
    if case.remarks:
        assert [str(remark) for remark in found.remarks] == case.remarks
    again = case.run(after, [each for each in case.passes if each.level == parse(after).level])
    assert len({stage.graph for stage in again.stages}) == 1
    if case.order_matters:
        assert case.run(case.before, case.passes[::-1]).stages[-1].graph.text != after


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case_means_the_same(case: Case, engine: sglc.Engine) -> None:
    """Both graphs come to the same, for random rows."""
    before, after = parse(case.before), parse(case.after or case.before)
    rows = [{**random_row(before.arguments, Random(seed)), **case.target.fixed} for seed in range(ROWS)]
    if after.level == "program":
        for row in rows:
            check_same(meaning(before, row, case.target.params), after, row, case.target, case.passes)
        return
    if any(each.keeps is not Keeps.EXACT for each in case.passes):
        pytest.skip("the pass keeps less than every token")
    assert observe(after, rows, engine, case.target.params) == observe(before, rows, engine, case.target.params)
