"""Case files of passes: graphs before and after, each pair with what the pass is told and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sglc.backend.tokenizer import Tokenizer
from sglc.codegen.lower import lower
from sglc.ir.graph import Graph
from sglc.ir.parser import parse
from sglc.ir.printer import print_graph
from sglc.ir.sampling import SamplingParams
from sglc.passes.base import Pass, Target
from sglc.passes.pass_text import parse_pipeline
from sglc.passes.pipeline import Optimized, optimize

FOLDER = Path(__file__).parent

_BECOMES = "// =>"
_UNCHANGED = "// => unchanged"
_REMARK = "// remark: "


@dataclass(slots=True)
class Case:
    """A pair of a case file.

    Its `head` are the comment lines right above the graph. The first is its title; `passes:` (else the one that the
    file is named for), `params:` and `fixed:` (JSON), `outputs:` and `tokenizer: packaged` say what is run for what;
    `order matters` says that the passes in another order come to something else. Behind `=>` stands the graph after, or
    there is `=> unchanged`, or nothing until `pytest --update` writes it; behind that `remark:` lines, which are all
    that the passes say if there are any.
    """

    file: Path
    head: list[str]
    before: str
    after: str | None = None
    closed: bool = False
    remarks: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.file.stem}: {self.head[0].removeprefix('// ') if self.head else ''}"

    def option(self, name: str) -> str | None:
        """Return what the head says of something."""
        start = f"// {name}: "
        return next((line.removeprefix(start) for line in self.head[1:] if line.startswith(start)), None)

    @property
    def order_matters(self) -> bool:
        """Whether the passes in another order come to something else."""
        return "// order matters" in self.head[1:]

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes of the case."""
        return parse_pipeline(self.option("passes") or self.file.stem)

    @property
    def target(self) -> Target:
        """What they are run for."""
        outputs = self.option("outputs")
        return Target(
            SamplingParams(**json.loads(self.option("params") or "{}")),
            None if outputs is None else tuple(outputs.split(",")),
            Tokenizer.packaged() if self.option("tokenizer") == "packaged" else None,
            json.loads(self.option("fixed") or "{}"),
        )

    def run(self, text: str, passes: Sequence[Pass]) -> Optimized:
        """Return what passes make of a graph; a program is lowered if one of them is for plans."""
        lowered = any(each.level == "plan" for each in passes)
        return optimize(parse(text, file=str(self.file)), passes, self.target, lower if lowered else None)

    def written(self) -> str:
        """Return the case as its file has it."""
        head = "".join(f"{line}\n" for line in self.head)
        becomes = "" if not self.closed else f"{_UNCHANGED}\n" if self.after is None else f"{_BECOMES}\n{self.after}"
        return head + self.before + becomes + "".join(f"{_REMARK}{remark}\n" for remark in self.remarks)


def written(graph: Graph, like: str) -> str:
    """Return a graph as text, with locations where another text has them."""
    return print_graph(graph, locations=" loc(" in like)


def case_files() -> list[Path]:
    """Return all case files."""
    return sorted(FOLDER.glob("*.sglir"))


def read_cases(file: Path) -> tuple[str, list[Case]]:
    """Return what stands above the first case of a file, and its cases."""
    above: list[str] = []
    head: list[str] = []
    cases: list[Case] = []
    for line in _with_graphs(file.read_text(encoding="utf-8").splitlines()):
        if line.startswith(("graph ", "plan ")):
            if not head and cases and not cases[-1].closed:
                cases[-1].after = f"{line}\n"
                cases[-1].closed = True
            else:
                cases.append(Case(file, head, f"{line}\n"))
                head = []
        elif line == _UNCHANGED:
            cases[-1].closed = True
        elif line.startswith(_REMARK):
            cases[-1].remarks.append(line.removeprefix(_REMARK))
        elif line.startswith("//") and line != _BECOMES:
            head.append(line)
        elif not line and head:
            assert not cases, f"{file}: found {head}; wanted it right above a graph"
            above += [*head, ""]
            head = []
    assert not head, f"{file}: found {head}; wanted a graph below it"
    return "\n".join(above).rstrip(), cases


def _with_graphs(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines; those of one graph as one."""
    graph: list[str] = []
    for line in lines:
        if graph or line.startswith(("graph ", "plan ")):
            graph.append(line)
            if line == "}":
                yield "\n".join(graph)
                graph = []
        else:
            yield line
    assert not graph, f"found no end of {graph[0]}"


def update(case: Case, found: Optimized) -> None:
    """Write what a case comes to into its file."""
    above, cases = read_cases(case.file)
    (mine,) = (each for each in cases if str(each) == str(case))
    after = written(found.stages[-1].graph, case.before)
    mine.after, mine.closed = None if after == case.before else after, True
    if mine.remarks:
        mine.remarks = [str(remark) for remark in found.remarks]
    parts = [*([f"{above}\n"] if above else []), *(each.written() for each in cases)]
    case.file.write_text("\n".join(parts), encoding="utf-8")
