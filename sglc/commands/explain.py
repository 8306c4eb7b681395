"""`sglc explain`: what a program becomes, what its rows will cost and why, and with a run, what they did cost."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sglc.automata.vocabulary import Vocabulary
from sglc.backend.bound import bound
from sglc.backend.engine import Engine
from sglc.backend.longest import at_full_length
from sglc.backend.playing import OffTape
from sglc.backend.prediction import Prediction, predict
from sglc.backend.recording import recorded
from sglc.backend.tape import Tape
from sglc.backend.timeline import Timeline
from sglc.backend.tokenizer import Tokenizer
from sglc.commands.captures import STREAM, capture_program, read_all_rows
from sglc.commands.engine_options import EngineOptions
from sglc.commands.program_file import LoadedProgram, load_program
from sglc.commands.summary import say
from sglc.errors import InputError
from sglc.explain.constraint_tax import constraint_tax
from sglc.explain.constraints import constraint_facts
from sglc.explain.page import to_html
from sglc.explain.report import Eager, Explanation, GraphPart, Measured, Without, statements_of
from sglc.explain.sizes import node_sizes
from sglc.explain.text import to_text
from sglc.explain.tree import plan_tree
from sglc.ir.sampling import SamplingParams
from sglc.language.capture import Capture
from sglc.language.function import params_of
from sglc.language.options import run_options
from sglc.language.planned_rows import PlannedRows, planned_rows
from sglc.language.state import ProgramState
from sglc.passes.base import Pass
from sglc.passes.pipeline import Optimized

MOST_COMPARED = 500
"""Rows that are run again for each pass, to see what it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """The options of `sglc explain`. `sampling` holds the defaults that were given, by the names `run_batch` has."""

    program: str
    engine: EngineOptions
    rows: str | None = None
    args: str | None = None
    limit: int | None = None
    analyze: bool = False
    level: int = 2
    outputs: tuple[str, ...] | None = None
    html: str | None = None
    timeline: str | None = None
    json: bool = False
    sampling: dict[str, Any] = field(default_factory=dict)


def explain(options: ExplainOptions) -> int:
    """Explain the program and return the exit code: 0, 1 when rows failed in a run.

    What the program prints goes to stderr.
    """
    with contextlib.redirect_stdout(sys.stderr):
        _check(options)
        program = load_program(options.program)
        explained, timeline, count = (
            _without_rows(options, program) if options.rows is None else _rows(options, program)
        )
        if options.html is not None:
            _write(options.html, to_html(explained, count))
        if options.timeline is not None and timeline is not None:
            from sglc.backend.trace_events import to_trace

            _write(options.timeline, json.dumps(to_trace(timeline)))
    sys.stdout.write(json.dumps(explained.as_json()) + "\n" if options.json else to_text(explained))
    failed = explained.measured.failed if explained.measured is not None else 0
    if failed:
        say(f"{failed} of {explained.rows} rows failed; sglc run says why")
    return 1 if failed else 0


def _check(options: ExplainOptions) -> None:
    """Raise InputError for options that do not go together."""
    if options.rows is not None and options.args is not None:
        raise InputError("found --rows and --args; wanted one of them")
    if options.analyze and options.rows is None:
        raise InputError("found --analyze without --rows; wanted rows to run")
    if options.timeline is not None and not options.analyze:
        raise InputError("found --timeline without --analyze; wanted a run to show")
    if options.rows is not None:
        options.engine.require_model()


Explained = tuple[Explanation, Timeline | None, Callable[[str], int] | None]


def _without_rows(options: ExplainOptions, program: LoadedProgram) -> Explained:
    """Explain the graph for any row, or for some arguments."""
    params, runs = params_of(options.sampling), run_options(options.level, options.outputs, eager=False)
    count = None
    tokenizer = None
    if options.engine.model or options.engine.tokenizer:
        from sglc.backend.loading import load_tokenizer

        given = options.engine
        tokenizer, _ = load_tokenizer(given.model or "replay:hash", given.tokenizer, given.chat_template)
        count = partial(_tokens, tokenizer)
    (shown,) = capture_program(program.function, None, options.args).shown
    made = shown.capture.optimized(runs, params, tokenizer)
    vocabulary = Vocabulary.from_tokenizer(tokenizer) if tokenizer is not None else None
    part = _part(program, shown.capture, made, None, [], count or len, params, vocabulary)
    unit = "tokens" if count is not None else "characters"
    return _explanation(options, program, unit, (part,)), None, count


def _tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text))


def _rows(options: ExplainOptions, program: LoadedProgram) -> Explained:
    """Explain the graphs of rows and what these cost."""
    rows = read_all_rows(options.rows or STREAM, program.function)[: options.limit]
    with contextlib.closing(options.engine.open() if options.analyze else options.engine.stand_in()) as engine:
        explaining = _Explaining(options, program, rows, engine)
        return explaining.explained(), explaining.timeline, explaining.count


class _Explaining:
    """Rows on an engine."""

    def __init__(
        self, options: ExplainOptions, program: LoadedProgram, rows: Sequence[Mapping[str, Any]], engine: Engine
    ) -> None:
        self._options = options
        self._program = program
        self._rows = rows
        self._engine = engine
        self._params = params_of(options.sampling)
        self._runs = run_options(options.level, options.outputs, eager=False)
        self._tape = Tape()
        self._left = 0  # rows that left their graph in the run, or never had one
        self.timeline = Timeline() if options.analyze else None

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._engine.tokenizer.encode(text))

    def explained(self) -> Explanation:
        """Return all there is to say."""
        function = self._program.function
        planned = planned_rows(function, self._rows, self._params, self._engine, self._runs)
        measured = self._measured() if self._options.analyze else None
        made: dict[int, Optimized] = {}
        parts = []
        for capture, numbers in planned.by_capture():
            made[id(capture)] = capture.optimized(self._runs, self._params, self._engine.tokenizer)
            rows = [function.arguments((), self._rows[number]) for number in numbers]
            optimized = made[id(capture)]
            count, vocabulary = len(rows), self._engine.vocabulary
            parts.append(_part(self._program, capture, optimized, count, rows, self.count, self._params, vocabulary))
        said = _explanation(self._options, self._program, "tokens", tuple(parts))
        engine = f"{self._options.engine.model} · {self._engine.kv_tokens:,} KV tokens"
        said = replace(said, rows=len(self._rows), in_python=len(planned.in_python), engine=engine, measured=measured)
        if planned.wholly_captured:
            said = self._foretold(said, planned, {name for each in made.values() for name in _effective(each)})
        return replace(said, notes=tuple(self._notes(planned, said)))

    def _notes(self, planned: PlannedRows, said: Explanation) -> Iterator[str]:
        """Yield what has to be known to read the figures."""
        if not planned.wholly_captured:
            found = f"{len(planned.in_python)} of {len(self._rows)} rows run in Python, at least in part"
            yield f"{found}: nothing can be foretold of them; sglc compile --check says why"
        elif planned.calls and not self._options.analyze:
            yield "what host code returns may have any length: --analyze runs it, and then costs are known"
        if self._left and planned.wholly_captured:
            yield f"{_rows_of(self._left)} had to leave the graph in the run, and went on in Python"
        if self._tape.slow:
            yield f"{self._tape.slow} host calls took so long that steps went on without them"
        if said.foretold is not None and said.measured is not None:
            differing = _differing(said.foretold, said.measured)
            known = self._left or self._tape.calls
            if differing:
                reason = "what runs in Python comes when it comes" if known else "that is a defect of sglc"
                yield f"predicted and measured differ in {', '.join(differing)}: {reason}"

    def _measured(self) -> Measured:
        """Run the rows, and note what the model says."""
        with recorded(self._engine, self._tape) as recorder:
            recorder.observer = self.timeline
            began = time.perf_counter()
            states = self._run(recorder, self._rows, self._runs.passes)
            seconds = time.perf_counter() - began
        assert self.timeline is not None  # it is made where rows are run
        failed = sum(state.error is not None for state in states)
        self._left = sum(type(state) is ProgramState for state in states)
        return Measured(recorder.counters.as_dict(), seconds, statements_of(self.timeline), failed)

    def _foretold(self, said: Explanation, planned: PlannedRows, effective: set[str]) -> Explanation:
        """Return an explanation with what can be foretold of rows that are wholly captured."""
        said = replace(said, at_most=bound(planned.plans, self._engine))
        costs = self._costs_as_measured if self._options.analyze else self._costs_at_full_length
        if not self._options.analyze and planned.calls:
            return said
        whole = costs(self._rows, self._runs.passes)
        if self._options.analyze:
            said = replace(said, foretold=whole)
        else:
            said = replace(said, full_length=whole)
        compared = self._rows[:MOST_COMPARED]
        base = whole if len(compared) == len(self._rows) else costs(compared, self._runs.passes)
        without = []
        for each in self._runs.passes:
            if each.name in effective:
                left = tuple(other for other in self._runs.passes if other is not each)
                without.append(Without(each.name, costs(compared, left)))
        if self._runs.passes:
            without.append(Without(None, costs(compared, ())))
        return replace(said, compared=base, compared_rows=len(compared), without=tuple(without))

    def _costs_as_measured(self, rows: Sequence[Mapping[str, Any]], passes: Sequence[Pass]) -> Prediction | None:
        """Return what rows cost with these passes if the model says the same again; None where it is asked else."""
        try:
            return predict(lambda engine: self._run(engine, rows, passes), self._engine, self._tape)
        except OffTape:
            return None

    def _costs_at_full_length(self, rows: Sequence[Mapping[str, Any]], passes: Sequence[Pass]) -> Prediction | None:
        """Return what rows cost with these passes if all outputs are as long as they may be."""
        with at_full_length(self._engine, [*_stops(self._program, self._params)]) as longest:
            self._run(longest, rows, passes)
        return Prediction.of(longest.counters)

    def _run(self, engine: Engine, rows: Sequence[Mapping[str, Any]], passes: Sequence[Pass]) -> list[Any]:
        found: list[Any] = self._program.function.run_batch(
            rows, backend=engine, optimize=passes, outputs=self._options.outputs, **self._options.sampling
        )
        return found


def _part(
    program: LoadedProgram,
    capture: Capture,
    made: Optimized,
    count: int | None,
    rows: Sequence[Mapping[str, Any]],
    tokens: Callable[[str], int],
    params: SamplingParams,
    vocabulary: Vocabulary | None,
) -> GraphPart:
    """Return what there is to say of one graph."""
    nodes = plan_tree(made.plan)
    eager = tuple(Eager(each.location, each.cause, each.mend) for each in capture.breaks if not each.is_error)
    return GraphPart(
        name=capture.name,
        location=program.function.location,
        tier=capture.tier,
        rows=count,
        assumptions=capture.assumptions,
        eager=eager,
        plan=made.plan,
        nodes=nodes,
        sizes=node_sizes(made.plan, nodes, rows, tokens, params.max_new_tokens),
        remarks=(*made.remarks, *constraint_tax(capture.graph)),
        constraints=tuple(constraint_facts(made.plan, vocabulary)),
    )


def _explanation(
    options: ExplainOptions, program: LoadedProgram, unit: str, parts: tuple[GraphPart, ...]
) -> Explanation:
    level = f"-O{options.level}"
    return Explanation(
        program=program.path.name, location=program.function.location, level=level, unit=unit, graphs=parts
    )


def _effective(made: Optimized) -> Iterator[str]:
    """Yield the names of the steps that changed a graph."""
    for before, after in zip(made.stages, made.stages[1:], strict=False):
        if after.graph is not before.graph:
            yield after.name


def _stops(program: LoadedProgram, params: SamplingParams) -> Iterator[str]:
    """Yield the texts that end generations of the program."""
    yield from params.stop
    for capture in program.function.captures():
        for op in capture.graph.ops():
            stop = op.attributes.get("stop", ())
            yield from (stop,) if isinstance(stop, str) else stop or ()


def _differing(foretold: Prediction, measured: Measured) -> list[str]:
    return [name for name, value in foretold.as_dict().items() if value != measured.counters[name]]


def _rows_of(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _write(path: str, text: str) -> None:
    """Write a file. Raises InputError where that can't be done."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: found that it can't be written ({error.strerror}); wanted a file") from error
