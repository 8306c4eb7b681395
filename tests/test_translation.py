"""Translation validation: random programs say the same whatever passes their graphs went through.

Each program is traced once and then run with every single pass that changes it, with random subsets and at every level;
what its rows come to is compared with the eager run. `make test` takes some of these for each program, `make test-full`
all. `test_compiled_programs.py` runs more programs, each with passes of its own.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from operator import eq

import pytest

from sglc.codegen.lower import lower
from sglc.ir.graph import Graph
from sglc.language.function import params_of
from sglc.language.options import Optimize
from sglc.language.tracing import explore
from sglc.passes.base import Keeps, Remarks, Target
from sglc.passes.pipeline import PIPELINE
from tests.pass_choices import shown, subset
from tests.program_source_runs import Engines, difference, run_compiled, run_eagerly, time_limit
from tests.program_sources import ProgramSource, loaded, program_source

COUNT = 500
FIRST = 1_000_000
"""Seeds that no other test uses."""
CHUNKS = 10
SECONDS = 30
SUBSETS = 2
ROWS = 2
MOST = None if os.environ.get("SGLC_TEST_FULL") else 3
"""Configurations of one program that are compared."""
PATHS = 6
"""Ways that a program is traced: many are in many programs, rather than in one."""


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    """The engines of this worker."""
    started = Engines.start()
    yield started
    started.close()


def configurations(source: ProgramSource) -> list[Optimize]:
    """Return every single pass, some subsets and the levels, as far as they keep what `source` says."""
    ordered = "sglc.unordered" in source.uses
    passes = [each for each in PIPELINE if not ordered or each.keeps < Keeps.UNORDERED]
    chosen = random.Random(source.seed)
    subsets = [subset(passes, chosen) for _ in range(SUBSETS)]
    return [*([each] for each in passes), *subsets, 1, 2, *([] if ordered else [3])]


@pytest.mark.usefixtures("no_round_trips")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_passes_keep_what_programs_say(chunk: int, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes are those of the eager run: texts, tokens, variables, errors and where they were raised."""
    monkeypatch.setattr(explore, "MAX_PATHS", PATHS)
    failures: list[str] = []
    checked = compared = 0
    tokenizer = engines.crowd.tokenizer
    for seed in itertools.count(FIRST + chunk, CHUNKS):
        if checked == COUNT // CHUNKS:
            break
        source = program_source(seed)
        source = replace(source, rows=source.rows[:ROWS])
        with loaded(source) as (compiled, eager), time_limit(SECONDS):
            wanted = run_eagerly(eager, source, engines.uncached)
            if difference(source, run_eagerly(eager, source, engines.uncached), wanted) is not None:
                continue  # it remembers its earlier runs
            checked += 1
            problem = difference(source, run_compiled(compiled, source, engines.crowd, 0), wanted)
            graphs = [each.graph for each in compiled.program.captures() if each.tier != "eager"]
            chosen = different(configurations(source), graphs, Target(params_of(source.sampling), None, tokenizer))
            for optimize in chosen[:MOST]:
                if problem is None:
                    compared += 1
                    found = run_compiled(compiled, source, engines.crowd, optimize)
                    problem = difference(source, found, wanted)
                    problem = problem and f"{shown(optimize)}: {problem}"
            if problem is not None:
                failures.append(f"seed {seed}, {problem}\n{source}")
    print(f"\n{checked} programs, {compared} different plans of them compared")
    assert not failures, "\n\n".join([f"{len(failures)} programs", *failures[:2]])


def different(configurations: list[Optimize], graphs: list[Graph], target: Target) -> list[Optimize]:
    """Return the configurations that make plans of their own, in an order by chance."""
    known: set[tuple[str, ...]] = {()}
    plans = [lower(graph) for graph in graphs]
    found: list[Optimize] = []
    for each in configurations:
        made: tuple[str, ...]
        if isinstance(each, int) or len(each) != 1:
            made = (shown(each),)
        else:
            (only,) = each
            before = graphs if only.level == "program" else plans
            after = [only.run(graph, target, Remarks()) for graph in before]
            made = () if all(map(eq, before, after)) else (only.name, *(graph.text for graph in after))
        if made not in known:
            known.add(made)
            found.append(each)
    random.Random(repr(known)).shuffle(found)
    return found
