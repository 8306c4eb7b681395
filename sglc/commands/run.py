"""`sglc run`: a program over a file of rows, one line of results for each row that finishes."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sglc.backend.engine import Engine
from sglc.commands.engine_options import EngineOptions
from sglc.commands.program_file import LoadedProgram, load_program
from sglc.commands.summary import Tally, print_summary, say
from sglc.errors import InputError
from sglc.ir.sampling import SamplingParams
from sglc.language.progress import RunProgress
from sglc.language.state import ProgramState
from sglc.passes.base import Keeps
from sglc.results.file import Finished, Results, ResultsFile, ResultsStream, read_finished
from sglc.results.line import error_object
from sglc.results.note import check_note, write_note
from sglc.rows import Checked, Lines, Row, Signature, check_rows, parse_rows, read_rows

STREAM = "-"
"""The name of stdin for rows, of stdout for results."""

_MOST_AT_HAND = 50_000
"""Rows of a file that are read before the first is run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `sglc run`. `sampling` holds the defaults that were given, by the names `run_batch` has."""

    program: str
    rows: str
    out: str
    engine: EngineOptions
    limit: int | None = None
    outputs: tuple[str, ...] | None = None
    resume: bool = False
    overwrite: bool = False
    json: bool = False
    concurrency: int | None = None
    level: int = 2
    eager: bool = False
    sampling: dict[str, Any] = field(default_factory=dict)


def run(options: RunOptions) -> int:
    """Run the program and return the exit code: 0, 1 when rows failed, 130 after Ctrl-C.

    Everything that can be wrong with the input is found before the model is loaded. What the program prints goes to
    stderr, since stdout belongs to the results.
    """
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.redirect_stdout(sys.stderr):
        options.engine.require_model()
        _check_sampling(options)
        program = load_program(options.program)
        signature = Signature(tuple(program.function.arg_names), frozenset(program.function.required))
        checked = None if options.rows == STREAM else check_rows(Path(options.rows), signature)
        finished = _check_out(options)
        with contextlib.closing(options.engine.open()) as engine:
            results = _open_results(options, engine, program, checked, finished, stdout)
            rows, ready = _rows(options, signature, stdin)
            total = None if checked is None else min(checked.count, options.limit or checked.count)
            tally = Tally(total=total, resumed=finished)
            began = time.perf_counter()
            code = _run_rows(options, program, engine, rows, ready, results, tally)
            tally.seconds = time.perf_counter() - began
            counters = engine.counters.as_dict()
    for name in options.outputs or ():
        if tally.done and name not in tally.variables:
            say(f"no row has set {name!r}, which --outputs asks for")
    print_summary(tally, counters, options.out, as_json=options.json, interrupted=code == 130)
    return code


def _run_rows(
    options: RunOptions,
    program: LoadedProgram,
    engine: Engine,
    rows: Iterator[Row],
    ready: Callable[[], bool] | None,
    results: Results,
    tally: Tally,
) -> int:
    """Run every row that is left, write each result as it comes, and return the exit code."""
    file = str(program.path.resolve())
    done = tally.resumed.indices
    left = None if tally.total is None else tally.total - sum(index < tally.total for index in done)

    def finish(index: int, result: dict[str, Any], error: BaseException | None) -> None:
        line = {"index": index, **result, "error": None if error is None else error_object(error, file)}
        results.write({key: line[key] for key in ("index", "variables", "text", "error", "finish")})
        tally.count(line)
        progress.row_finished()

    def usable() -> Iterator[Row]:
        for row in rows:
            if row.index in done:
                continue
            if row.error is None:
                yield row
            else:
                finish(row.index, {"variables": {}, "text": "", "finish": {}}, row.error)

    with contextlib.closing(results), RunProgress(left, lambda: engine.counters.decoded) as progress:
        try:
            fields, numbers = _at_hand(usable()) if ready is None else itertools.tee(usable())
            states = program.function.run_batch(
                [row.fields for row in fields] if isinstance(fields, list) else (row.fields for row in fields),
                indices=(row.index for row in numbers),
                backend=engine,
                as_completed=True,
                concurrency=options.concurrency,
                rows_ready=ready,
                optimize=options.level,
                eager=options.eager,
                **options.sampling,
            )
            with contextlib.closing(states):
                for state in states:
                    finish(state.index, _said(state, options.outputs), state.error)
        except KeyboardInterrupt:
            return 130
    return 1 if tally.failed else 0


def _at_hand(rows: Iterator[Row]) -> tuple[Iterable[Row], Iterable[Row]]:
    """Return the rows twice: as lists, which can be put in order, unless there are too many to hold."""
    first = list(itertools.islice(rows, _MOST_AT_HAND + 1))
    if len(first) <= _MOST_AT_HAND:
        return first, first
    once, again = itertools.tee(itertools.chain(first, rows))
    return once, again


def _said(state: ProgramState, outputs: tuple[str, ...] | None) -> dict[str, Any]:
    """Return what a row has to say at its end, up to its error; a variable asked for that it never set is left out."""
    variables = state.variables()
    if outputs is not None:
        variables = {name: variables[name] for name in outputs if name in variables}
    return {"variables": variables, "text": state.text_so_far(), "finish": state.finish()}


def _rows(
    options: RunOptions, signature: Signature, stdin: BinaryIO
) -> tuple[Iterator[Row], Callable[[], bool] | None]:
    """Return the rows, lazily, up to the limit, and what says whether the next one of a pipe is there."""
    if options.rows != STREAM:
        return itertools.islice(read_rows(Path(options.rows), signature), options.limit), None
    try:
        lines = Lines(stdin.fileno())
    except OSError:  # a stand-in for stdin, which never keeps anybody waiting
        return itertools.islice(parse_rows(stdin, "<stdin>", signature), options.limit), None
    return itertools.islice(parse_rows(lines, "<stdin>", signature), options.limit), lines.ready


def _check_sampling(options: RunOptions) -> None:
    """Raise InputError for a sampling parameter out of range."""
    try:
        SamplingParams().override(options.sampling)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_out(options: RunOptions) -> Finished:
    """Return the rows that are finished already. Raises InputError where the results can't go."""
    if options.resume and options.overwrite:
        raise InputError("found --resume with --overwrite; wanted one of them")
    path = Path(options.out)
    if not _is_file(options.out):
        if options.resume:
            raise InputError(f"found --resume with --out {options.out}; wanted a file to go on with")
        return Finished()
    if options.resume and options.rows == STREAM:
        raise InputError("found --resume with rows from stdin, which can't be compared; wanted a file of rows")
    if not path.parent.is_dir():
        raise InputError(f"{path}: found no folder {path.parent}; wanted one that exists")
    if not path.exists():
        return Finished()
    if options.rows != STREAM and path.samefile(options.rows):
        raise InputError(f"{path}: found the file of rows as --out too; wanted another file")
    if options.resume:
        return read_finished(path)
    if not options.overwrite:
        raise InputError(f"{path}: found results there already; wanted --resume, --overwrite or another --out")
    return Finished()


def _open_results(
    options: RunOptions,
    engine: Engine,
    program: LoadedProgram,
    checked: Checked | None,
    finished: Finished,
    stdout: BinaryIO,
) -> Results:
    """Open where the results go; for a file, check or write its note first. Raises InputError."""
    if options.out == STREAM:
        return ResultsStream(stdout)
    path = Path(options.out)
    if not _is_file(options.out):
        return ResultsFile(path)
    note = {
        "program": program.identity,
        "rows": "stdin" if checked is None else f"sha256:{checked.sha256}",
        "model": engine.model.fingerprint,
        "settings": options.engine.settings(),
        "sampling": options.sampling,
        "order of unordered sections": "any" if options.level >= Keeps.UNORDERED else "as written",
        "outputs": None if options.outputs is None else list(options.outputs),
    }
    if options.resume and path.exists():
        check_note(path, note)
    else:
        path.unlink(missing_ok=True)  # before its note is replaced: old results never stand beside a new note
        write_note(path, note)
    return ResultsFile(path, keep=finished.size)


def _is_file(out: str) -> bool:
    """Whether the results go to a file that stays, and not to a stream or a device."""
    return out != STREAM and (Path(out).is_file() or not Path(out).exists())
