"""`sglc dump`: the graphs of a program, as text, as drawings or as a page."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sglc.commands.captures import Captured, Shown, capture_program
from sglc.commands.program_file import load_program
from sglc.commands.summary import say
from sglc.errors import InputError
from sglc.ir.graph import Graph
from sglc.ir.printer import print_graph
from sglc.ir.wording import short_path


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpOptions:
    """The options of `sglc dump`. `format` is text, dot, svg, mermaid or html; `out` None is stdout.

    `automaton` is the name of a constrained generation whose automaton is shown instead, "" for all of them.
    """

    program: str
    rows: str | None = None
    args: str | None = None
    format: str = "text"
    plan: bool = False
    locations: bool = False
    tokenizer: str | None = None
    automaton: str | None = None
    out: str | None = None


def dump(options: DumpOptions) -> int:
    """Write the graphs and return the exit code 0. What the program prints goes to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        program = load_program(options.program)
        captured = capture_program(program.function, options.rows, options.args)
        if options.automaton is not None:
            text = _automata(options, captured, options.automaton)
        else:
            graphs = [_graph(shown, options.plan) for shown in captured.shown]
            text = _rendered(options, captured, graphs, program.path.name)
    if captured.left:
        say(f"{captured.left} more rows need graphs of their own; they run eagerly")
    if options.out is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(options.out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{options.out}: found that it can't be written ({error.strerror}); wanted a file") from error
    return 0


def _automata(options: DumpOptions, captured: Captured, name: str) -> str:
    """Return the automata of constraints in the format asked for. Raises InputError."""
    from sglc.commands.dump_automata import automata, constraints_named

    if options.plan:
        raise InputError("found --automaton and --plan; wanted one of them")
    graphs = [shown.capture.graph for shown in captured.shown]
    return automata(constraints_named(graphs, name), options.format)


def _graph(shown: Shown, plan: bool) -> Graph:
    if not plan:
        return shown.capture.graph
    from sglc.codegen.lower import lower

    return lower(shown.capture.graph)


def _rendered(options: DumpOptions, captured: Captured, graphs: Sequence[Graph], title: str) -> str:
    """Return all graphs in the format asked for."""
    if options.format == "html":
        return _page(options, captured, graphs, title)
    if options.format == "text":
        texts = [print_graph(graph, locations=options.locations) for graph in graphs]
        return "\n".join(_comments(each, "//") + text for each, text in zip(captured.shown, texts, strict=True))
    from sglc.ir.draw import to_dot, to_mermaid, to_svg

    if options.format == "dot":
        texts = [_comments(each, "//") + to_dot(graph) for each, graph in zip(captured.shown, graphs, strict=True)]
        return "\n".join(texts)
    if len(graphs) > 1:
        kinds = f"{len(graphs)} graphs for different kinds of rows"
        raise InputError(f"found {kinds}; wanted --format html, which shows all, or --args for the one to show")
    if options.format == "svg":
        return to_svg(graphs[0])
    return _comments(captured.shown[0], "%%") + to_mermaid(graphs[0])


def _comments(shown: Shown, mark: str) -> str:
    """Return the lines above a graph: how far the program was captured, for which rows, and what is left eager."""
    capture = shown.capture
    lines = [f"{capture.name}: {capture.tier}" + ("" if shown.rows is None else f", {_rows(shown.rows)}")]
    lines += [f"assumes {assumption}" for assumption in capture.assumptions]
    for each in capture.breaks:
        place = f"{short_path(each.location.file)}:{each.location.line}: " if each.location else ""
        lines.append(f"eager {place}{each.cause}" + (f"; {each.mend}" if each.mend else ""))
    return "".join(f"{mark} {' '.join(line.split())}\n" for line in lines)


def _page(options: DumpOptions, captured: Captured, graphs: Sequence[Graph], title: str) -> str:
    from sglc.ir.page import Tab, to_page

    tabs = []
    for number, (shown, graph) in enumerate(zip(captured.shown, graphs, strict=True), start=1):
        capture = shown.capture
        of_several = f" {number}" if len(graphs) > 1 else ""
        rows = "" if shown.rows is None else f" ({_rows(shown.rows)})"
        tabs.append(Tab(capture.name + of_several + rows, graph, capture.tier, capture.assumptions))
    return to_page(tabs, title=title, count=_token_counter(options.tokenizer))


def _token_counter(tokenizer: str | None) -> Callable[[str], int] | None:
    """Return what counts a text's tokens, None where there is no tokenizer. Raises InputError."""
    if tokenizer is None:
        return None
    from sglc.backend.tokenizer import Tokenizer

    loaded = Tokenizer.load(tokenizer)
    return lambda text: len(loaded.encode(text))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
