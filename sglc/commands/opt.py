"""`sglc opt`: passes run on graphs of a file, one by one if asked, to look at what they do or to repeat a failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sglc.codegen.lower import lower
from sglc.commands.captures import STREAM
from sglc.errors import InputError, Location
from sglc.ir.graph import Attribute, Graph
from sglc.ir.parser import parse_all
from sglc.ir.printer import print_graph
from sglc.ir.sampling import PARAMETER_NAMES, SamplingParams
from sglc.passes.base import Pass, Target, Wording
from sglc.passes.pass_text import parse_pipeline
from sglc.passes.pipeline import Optimized, Stage, optimize, passes_of

DEFAULT_LEVEL = 2

_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOptions:
    """The options of `sglc opt`. `params` and `fixed` are JSON; without `passes` and `level`, those of -O2 run."""

    file: str
    passes: str | None = None
    level: int | None = None
    after: str | None = None
    plan: bool = False
    params: str | None = None
    fixed: str | None = None
    outputs: str | None = None
    tokenizer: str | None = None
    print_after_all: bool = False
    timing: bool = False
    remarks: bool = False
    locations: bool = False


def opt(options: OptOptions) -> int:
    """Write what the graphs become to stdout, all else to stderr, and return the exit code 0."""
    graphs = _graphs(options.file)
    passes, lowered = _passes(options)
    target = _target(options)
    results = []
    for graph in graphs:
        if options.passes is not None:
            _check_levels(graph, passes)
        found = optimize(graph, passes, target, lower if lowered else None, _watcher(options))
        results.append(print_graph(found.stages[-1].graph, locations=options.locations))
        if options.timing:
            sys.stderr.write(_times(found))
        if options.remarks:
            sys.stderr.write("".join(f"{remark}\n" for remark in found.remarks))
    sys.stdout.write("\n".join(results))
    return 0


def _graphs(file: str) -> list[Graph]:
    """Return the graphs of a file. Raises InputError."""
    try:
        text = sys.stdin.read() if file == STREAM else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{file}: found {reason}; wanted a file of graphs") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: found no text ({error}); wanted a file of graphs") from None
    graphs = parse_all(text, file=file)
    if not graphs:
        raise InputError("found no graph; wanted one or more", Location(file, 1))
    return graphs


def _passes(options: OptOptions) -> tuple[tuple[Pass, ...], bool]:
    """Return the passes that run, and whether programs are lowered. Raises InputError."""
    if options.passes is not None and options.level is not None:
        raise InputError("found --passes and -O; wanted one of them")
    if options.passes is None:
        passes, lowered = passes_of(DEFAULT_LEVEL if options.level is None else options.level), True
    else:
        try:
            passes = parse_pipeline(options.passes)
        except InputError as error:
            raise InputError(f"--passes: {error.message}") from None
        lowered = options.plan or any(each.level == "plan" for each in passes)
    if options.after is None:
        return passes, lowered
    names = [each.name for each in passes]
    if options.after == "lower":
        return tuple(each for each in passes if each.level == "program"), True
    if options.after not in names:
        raise InputError(f"--after: found '{options.after}'; wanted one of {', '.join([*names, 'lower'])}")
    until = passes[: names.index(options.after) + 1]
    return until, options.plan or until[-1].level == "plan"


def _check_levels(graph: Graph, passes: Sequence[Pass]) -> None:
    """Raise InputError for a plan where a pass on programs was asked for by name."""
    wrong = next((each.name for each in passes if each.level == "program"), None)
    if graph.level == "plan" and wrong is not None:
        raise InputError(f"@{graph.name}: found a plan; wanted a program for {wrong}")


def _target(options: OptOptions) -> Target:
    """Return what the graphs are optimized for. Raises InputError."""
    outputs = None if options.outputs is None else tuple(name.strip() for name in options.outputs.split(","))
    return Target(_sampling(options.params), outputs, _wording(options.tokenizer), _fixed(options.fixed))


def _sampling(text: str | None) -> SamplingParams:
    if text is None:
        return SamplingParams()
    try:
        given = json.loads(text)
        unknown = next(iter(given.keys() - PARAMETER_NAMES), None) if isinstance(given, dict) else text
        if unknown is not None:
            raise ValueError(f"found {unknown!r}; wanted an object of sampling parameters")
        return SamplingParams(**given)
    except (ValueError, TypeError) as error:
        raise InputError(f"--params: {error}") from None


def _fixed(text: str | None) -> Mapping[str, Attribute]:
    if text is None:
        return {}
    try:
        given = json.loads(text)
    except ValueError as error:
        raise InputError(f"--fixed: {error}") from None
    if not isinstance(given, dict) or not all(type(value) in _SCALARS for value in given.values()):
        raise InputError(f"--fixed: found {given!r}; wanted an object of texts, numbers, truth values and nulls")
    return given


def _wording(tokenizer: str | None) -> Wording | None:
    if tokenizer is None:
        return None
    from sglc.backend.tokenizer import Tokenizer

    return Tokenizer.load(tokenizer)


def _watcher(options: OptOptions) -> Callable[[Stage], None] | None:
    """Return what shows each stage as soon as it is there, so that those before a failure are seen."""
    if not options.print_after_all:
        return None
    before = ""

    def show(stage: Stage) -> None:
        nonlocal before
        text = print_graph(stage.graph, locations=options.locations)
        sys.stderr.write(f"// {stage.name}: unchanged\n" if text == before else f"// {stage.name}\n{text}\n")
        before = text

    return show


def _times(found: Optimized) -> str:
    """Return how long each step took, and how many operations it left, as lines."""
    width = max(len(stage.name) for stage in found.stages)
    lines = []
    for stage in found.stages:
        count = sum(1 for _ in stage.graph.ops())
        lines.append(f"{stage.name:<{width}} {stage.seconds * 1e3:8.2f} ms {count:6,} operations\n")
    return "".join(lines)
