"""`sglc compile --check`: how far the programs of a file are captured, and what keeps the rest eager."""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sglc.commands.captures import Captured, Shown, capture_program
from sglc.commands.program_file import LoadedProgram, load_program, load_programs
from sglc.errors import InputError
from sglc.ir.wording import short_path
from sglc.language.tracing.explore import Break

_COUNTED = {"gen": "generation", "select": "choice", "call": "call", "branch": "branch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOptions:
    """The options of `sglc compile`."""

    program: str
    check: bool = False
    rows: str | None = None
    args: str | None = None
    json: bool = False


def compile_program(options: CompileOptions) -> int:
    """Say how far each program is captured and return the exit code: 0, 1 where a region of one is eager.

    What the program prints goes to stderr.
    """
    if not options.check:
        raise InputError("found no --check; wanted it, since sglc does not write bundles yet")
    with contextlib.redirect_stdout(sys.stderr):
        if options.rows is None and options.args is None:
            programs = load_programs(options.program)
        else:
            programs = [load_program(options.program)]  # rows are for one
        found = [(each, capture_program(each.function, options.rows, options.args)) for each in programs]
    if options.json:
        sys.stdout.write(json.dumps([_described(program, captured) for program, captured in found]) + "\n")
    else:
        sys.stdout.write("".join(_report(program, captured) for program, captured in found))
    return 1 if any(captured.left or _eager(captured) for _, captured in found) else 0


def _eager(captured: Captured) -> bool:
    return any(_regions(shown) for shown in captured.shown)


def _regions(shown: Shown) -> list[Break]:
    """Return what is left eager; where a program ends in an error, nothing is."""
    return [each for each in shown.capture.breaks if not each.is_error]


def _report(program: LoadedProgram, captured: Captured) -> str:
    """Return what there is to say of a program, as lines."""
    function = program.function
    lines = []
    for shown in captured.shown:
        capture = shown.capture
        rows = "" if shown.rows is None else f", {shown.rows:,} row{'' if shown.rows == 1 else 's'}"
        counts = _counts(shown)
        said = [_plural(counts["op"], "operation")]
        said += [_plural(counts[name], word) for name, word in _COUNTED.items() if counts[name]]
        lines.append(f"{program.path}:{function.line}: {function.name}: {capture.tier}{rows}: {', '.join(said)}")
        lines += [f"  assumes {assumption}" for assumption in capture.assumptions]
        for each in _regions(shown):
            place = each.location or function.location
            mend = f"; {each.mend}" if each.mend else ""
            lines.append(f"  {short_path(place.file)}:{place.line}: {each.cause}{mend}")
    if captured.left:
        lines.append(f"  {_plural(captured.left, 'row')} more of other kinds: eager")
    return "".join(line + "\n" for line in lines)


def _described(program: LoadedProgram, captured: Captured) -> Mapping[str, Any]:
    """Return the same as an object for JSON."""
    function = program.function
    captures = []
    for shown in captured.shown:
        counts = _counts(shown)
        regions = [
            {
                "file": each.location.file if each.location else None,
                "line": each.location.line if each.location else None,
                "cause": each.cause,
                "mend": each.mend or None,
            }
            for each in _regions(shown)
        ]
        captures.append(
            {
                "tier": shown.capture.tier,
                "rows": shown.rows,
                "assumptions": list(shown.capture.assumptions),
                "operations": counts["op"],
                **{_plural_of(word): counts[name] for name, word in _COUNTED.items()},
                "eager_regions": regions,
            }
        )
    return {
        "program": function.name,
        "file": str(program.path),
        "line": function.line,
        "captures": captures,
        "eager_rows": captured.left,
    }


def _counts(shown: Shown) -> Counter[str]:
    """Return how many operations of each name there are, and as `op` how many in all."""
    counts = Counter(op.name for op in shown.capture.graph.ops())
    counts["op"] = counts.total()
    return counts


def _plural(count: int, word: str) -> str:
    if count == 1:
        return f"1 {word}"
    return f"{count:,} {_plural_of(word)}"


def _plural_of(word: str) -> str:
    return word + ("es" if word.endswith("ch") else "s")
