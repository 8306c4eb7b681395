"""A pass that fails leaves a file behind by which `sglc opt` repeats the failure."""

from __future__ import annotations

import hashlib
import json
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from sglc.errors import SglcError
from sglc.ir.graph import Graph
from sglc.ir.printer import print_graph
from sglc.ir.sampling import SamplingParams
from sglc.passes.base import Target


class PassError(SglcError):
    """A step of the optimizer that failed: a mistake of sglc's. `file` repeats it, None where none could be written."""

    def __init__(self, message: str, file: Path | None) -> None:
        super().__init__(message)
        self.file = file


def failed(name: str, options: Sequence[str], graph: Graph, target: Target, error: Exception) -> PassError:
    """Return the error of a step, and write the graph that it was given into a file, with what repeats it.

    `options` are what `sglc opt` is told of the step.
    """
    what = f"{name}: found {type(error).__name__}: {error}"
    text = print_graph(graph, locations=True)
    key = hashlib.sha256(f"{what}\n{text}".encode(errors="surrogatepass")).hexdigest()[:12]
    file = Path(tempfile.gettempdir()) / f"sglc-failure-{key}.sglir"
    command = shlex.join(["sglc", "opt", str(file), *options, *_of_target(target)])
    lines = [*what.partition("\n")[0].splitlines(), f"repeat it with: {command}"]
    if target.wording is not None:
        lines.append(f"and --tokenizer, the one with the fingerprint {target.wording.fingerprint}")
    try:
        file.write_text("".join(f"// {line}\n" for line in lines) + text, encoding="utf-8")
    except OSError as unwritten:
        return PassError(f"{what}\n(the graph could not be written to {file}: {unwritten.strerror})", None)
    return PassError(f"{what}\n{lines[1]}", file)


def _of_target(target: Target) -> list[str]:
    """Return the options of `sglc opt` that stand for a target."""
    usual = SamplingParams()
    given = {each.name: getattr(target.params, each.name) for each in fields(SamplingParams)}
    changed = {name: value for name, value in given.items() if value != getattr(usual, name)}
    options = ["--params", json.dumps(changed)] if changed else []
    if target.fixed:
        options += ["--fixed", json.dumps(dict(target.fixed))]
    return options if target.outputs is None else [*options, "--outputs", ",".join(target.outputs)]
