"""Unordered sections: how much rows share in the order that is found, against the order written and against GGR.

`tools` are questions with their tools, all of them unordered; as written, the question comes first. Tables stand for
those that GGR (Liu et al., MLSys 2025) was measured on. No model runs but the one that costs nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter

import sglc
from benchmarks import data
from benchmarks.ggr import Ggr, dependencies_of
from benchmarks.progress import say
from benchmarks.registry import Figures, Options, Result
from benchmarks.workloads import tables, tools
from sglc.codegen.arrangement import arrange, arrange_coded
from sglc.language.state import ProgramState
from tests.best_arrangement import best_of_all, common_length

_UNBOUNDED = 2_000_000
ROWS = 6_000
PLANNED_ROWS = 15_000
QUICK_ROWS = 600
SMALL_TABLES = 300

SOLVERS = (Ggr(), Ggr(row_depth=None, column_depth=None, threshold=0))
"""GGR as its paper stops it, and without any stop."""


def run(options: Options) -> Result:
    """Measure tools, tables, time and small tables."""
    rows = QUICK_ROWS if options.quick else ROWS
    figures: Figures = {**_tools(100 if options.quick else None)}
    for name in tables.TABLES:
        say(f"{name}: {rows:,} rows")
        figures |= _against_ggr(name, tables.table(name, rows))
    runs = options.runs or (1 if options.quick else 5)
    figures["plan_15kx8_s"] = max(_seconds(name, runs, options.quick) for name in tables.TABLES)
    figures["exact_tables"] = 30 if options.quick else SMALL_TABLES
    figures["exact_mismatches"] = _exact_mismatches(int(figures["exact_tables"]))
    return Result(figures, {"data": data.source(), "rows": str(rows)})


# Tools


def _tools(limit: int | None) -> Figures:
    """Return the tokens that have to be computed in both orders, with everything kept and with the last row kept."""
    sections = tools.rows(limit)
    arrangement = arrange(sections)
    prompts = ["".join([sections[row][place] for place in arrangement.sections[row]]) for row in arrangement.rows]
    written = _tokens(["".join(row) for row in sections])
    arranged = _tokens(prompts)
    everything = sum(map(len, written))
    first, found = everything - _shared(sorted(written)), everything - _shared(sorted(arranged))
    return {
        "bfcl_rows": len(sections),
        "bfcl_tokens": everything,
        "bfcl_filled_question_first": first,
        "bfcl_filled": found,
        "bfcl_ideal_ratio": found / first,
        **_through_the_engine(sections),
        "bfcl_filled_after_neighbours": sum(map(len, arranged)) - _shared(arranged),
    }


@sglc.function
def call(s: ProgramState, sections: list[str]) -> None:
    """Ask for a call of one of the tools."""
    s += sglc.unordered(*sections)
    s += sglc.gen("call", max_tokens=1)


def _through_the_engine(sections: Sequence[Sequence[str]]) -> Figures:
    """Run the questions at -O3, and at -O0 in the order written: the question first."""
    filled = {}
    for level in (0, 3):
        with sglc.Engine("replay:hash", tokenizer=data.gpt2(), kv_tokens=_UNBOUNDED) as engine:
            states = call.run_batch([(list(row),) for row in sections], backend=engine, optimize=level, temperature=0)
            assert not any(state.error for state in states)
            filled[level] = engine.counters.filled
        say(f"tools at -O{level}: {filled[level]:,} tokens filled")
    return {
        "bfcl_engine_o0_filled": filled[0],
        "bfcl_engine_o3_filled": filled[3],
        "bfcl_ratio": filled[3] / filled[0],
    }


def _tokens(prompts: Sequence[str]) -> list[list[int]]:
    return data.gpt2().encode_batch(prompts, [True] * len(prompts))


def _shared(rows: Sequence[Sequence[object]]) -> int:
    """Return how many items each row begins with like the one before it."""
    return sum(common_length(one, two) for one, two in pairwise(rows))


# Tables


def _against_ggr(name: str, table: tables.Table) -> Figures:
    """Return the share of the table that rows have in common with the one before, over the best that GGR finds.

    Both are measured by length, which is what a cache saves, and by its square, which is what GGR maximizes.
    """
    numbers = {cell: number for number, cell in enumerate(sorted(set().union(*table)))}
    lengths = [len(cell) for cell in numbers]
    arrangement = arrange_coded([[numbers[cell] for cell in row] for row in table], lengths)
    ours = [[table[row][place] for place in arrangement.sections[row]] for row in arrangement.rows]
    dependencies = dependencies_of(table)
    theirs = []
    for solver in SOLVERS:
        theirs.append([[table[row][column] for column in order] for row, order in solver.order(table, dependencies)])
        assert sorted(map(sorted, theirs[-1])) == sorted(map(sorted, table))
    figures: Figures = {}
    ratios = []
    for unit, power in (("", 1), ("_squared", 2)):
        whole = sum(len(cell) ** power for row in table for cell in row)
        best = max(_hits(rows, power) for rows in theirs)
        hits = _hits(ours, power)
        ratios.append(hits / best)
        figures[f"hits{unit}_{name}"] = hits / whole
        figures[f"hits{unit}_ggr_{name}"] = best / whole
    figures[f"hits_written_{name}"] = arrangement.written / sum(map(len, (cell for row in table for cell in row)))
    figures[f"hits_vs_ggr_{name}"] = min(ratios)
    return figures


def _hits(rows: Sequence[Sequence[str]], power: int) -> int:
    """Return what leading cells are worth that are like those of the row before."""
    return sum(len(cell) ** power for one, two in pairwise(rows) for cell in two[: common_length(one, two)])


def _seconds(name: str, runs: int, quick: bool) -> float:
    """Return how long it takes to arrange a table, texts and all: the best of several runs."""
    table = tables.table(name, QUICK_ROWS if quick else PLANNED_ROWS, seed=2)
    seconds = []
    for _ in range(runs):
        started = perf_counter()
        arrange(table)
        seconds.append(perf_counter() - started)
    say(f"{name}: planned in {min(seconds):.3f} s")
    return min(seconds)


# Small tables


def _exact_mismatches(count: int) -> int:
    """Return for how many random tables of at most 6 × 4 some order has more in common than the one found."""
    source = random.Random(5)
    wrong = 0
    for _ in range(count):
        lengths = [source.randint(0, 9) for _ in range(source.randint(2, 9))]
        columns = source.randint(1, 4)
        rows = [source.choices(range(len(lengths)), k=columns) for _ in range(source.randint(1, 6))]
        wrong += arrange_coded(rows, lengths).shared != best_of_all(rows, lengths)
    return wrong
