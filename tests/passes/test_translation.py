"""Translation validation: random programs come to the same behind any passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from sglc.codegen.lower import lower
from sglc.ir.graph import Graph
from sglc.ir.sampling import SamplingParams
from sglc.passes.base import Keeps, Pass, Target
from sglc.passes.pipeline import PIPELINE, optimize, passes_of
from tests.conftest import FULL
from tests.passes.meaning import check_same, meaning, random_row
from tests.passes.random_graphs import random_program

PROGRAMS = 5_000 if FULL else 300
ROWS = 2

PARAMS = (SamplingParams(), SamplingParams(temperature=0.0), SamplingParams(max_new_tokens=16, stop=("a",), seed=7))
OUTPUTS = (None, None, ("out0",), ("out1", "out3"))
FIXED: tuple[dict[str, Any], ...] = ({}, {}, {"question": "yes"}, {"deep": True, "count": 0, "thing": None})


def pipelines(random: Random) -> Iterator[tuple[Sequence[Pass], bool]]:
    """Yield passes on programs, and whether the program is lowered behind them."""
    programs = [each for each in PIPELINE if each.level == "program"]
    for each in programs:
        yield (each,), False
    for _ in range(2):
        yield [each for each in programs if random.random() < 0.5], False
    yield passes_of(random.choice((1, 2, 3))), True


def changed(graph: Graph, target: Target, passes: Sequence[Pass], lowered: bool) -> tuple[Graph, list[str]]:
    """Return what passes make of a program before it is lowered, and which of them did something."""
    stages = optimize(graph, passes, target, lower if lowered else None).stages
    last = [stage.graph for stage in stages if stage.graph.level == "program"][-1]
    did = [stage.name for before, stage in pairwise(stages) if stage.graph is not before.graph]
    return last, did


@pytest.mark.usefixtures("no_round_trips")
def test_programs_come_to_the_same_behind_any_passes() -> None:
    """Texts, variables, errors, calls, and what is asked and said at every site that is left."""
    did: Counter[str] = Counter()
    for seed in range(PROGRAMS):
        random = Random(seed)
        graph = random_program(random)
        target = Target(random.choice(PARAMS), random.choice(OUTPUTS), fixed=random.choice(FIXED))
        rows = [{**random_row(graph.arguments, random), **target.fixed} for _ in range(ROWS)]
        wanted = [meaning(graph, row, target.params) for row in rows]
        for passes, lowered in pipelines(random):
            # as long as no batch says otherwise, unordered sections stand as written
            assert all(each.keeps in (Keeps.EXACT, Keeps.UNORDERED) for each in passes if each.level == "program")
            after, which = changed(graph, target, passes, lowered)
            did.update(which)
            for row, expected in zip(rows, wanted, strict=True):
                try:
                    check_same(expected, after, row, target, passes)
                except AssertionError as error:
                    named = ",".join(map(str, passes))
                    error.add_note(f"seed {seed}, row {row}, {target}, {named}\n{graph}\n{after}")
                    raise
            if len(passes) == 1:
                again, _ = changed(after, target, passes, lowered)
                assert again is after, f"seed {seed}: {passes[0]} does something again\n{graph}\n{after}\n{again}"
    quiet = {each.name for each in PIPELINE if each.level == "program"} - did.keys()
    assert not quiet, f"passes that never did anything: {quiet}"
