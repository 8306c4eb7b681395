"""The pipeline: its passes and their places, passes as text, and what happens when one fails."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from typer.testing import CliRunner

from sglc.cli import app
from sglc.codegen.lower import lower
from sglc.errors import InputError
from sglc.ir.graph import Graph
from sglc.ir.parser import parse_all
from sglc.ir.sampling import SamplingParams
from sglc.passes import pipeline
from sglc.passes.base import Keeps, Pass, Remarks, Target, counted, option_name
from sglc.passes.failure import PassError
from sglc.passes.pass_text import parse_pipeline
from sglc.passes.pipeline import PIPELINE, Stage, optimize, passes_of
from tests.ir.sample_graphs import judge, linear
from tests.passes.cases import Case, case_files, read_cases

CASES = [case for file in case_files() for case in read_cases(file)[1]]


@dataclass(frozen=True, slots=True)
class Clip(Pass):
    """A pass with options of every kind; it does what its `fault` says."""

    name: ClassVar[str] = "clip"
    most: int = 8
    loud: bool = False
    fault: str = ""

    def __post_init__(self) -> None:
        if self.most < 0:
            raise ValueError(f"found most={self.most}; wanted 0 or more")

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Do what is asked for."""
        if self.fault == "raise":
            raise KeyError("lost")
        return Graph(graph.name, (), graph.block, graph.level) if self.fault == "drop arguments" else graph


@dataclass(frozen=True, slots=True)
class Late(Pass):
    """A pass on plans."""

    name: ClassVar[str] = "late"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Say that it was here."""
        remarks.done(f"saw a {graph.level}")
        return graph


KNOWN = (Clip(), Late())


# The passes


@pytest.mark.parametrize("each", PIPELINE, ids=str)
def test_a_pass_is_called_like_its_file_and_its_class(each: Pass) -> None:
    """And its docstring shows a graph before and after, its options are plain and have defaults."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", each.name)
    assert type(each).__name__ == "".join(word.capitalize() for word in each.name.split("-"))
    assert type(each).__module__ == f"sglc.passes.{each.name.replace('-', '_')}"
    module = importlib.import_module(type(each).__module__)
    assert (module.__doc__ or "").startswith(f"{each.name}: ")
    assert re.search(r"^ +\S.*=>|^ +=>$", inspect.getdoc(type(each)) or "", re.MULTILINE)
    assert all(type(option.default) in (bool, int, str) for option in fields(each))
    assert type(each)() == each


def test_names_are_unique_and_programs_come_first() -> None:
    assert len({each.name for each in PIPELINE}) == len(PIPELINE)
    levels = [each.level for each in PIPELINE]
    assert levels == sorted(levels, key=["program", "plan"].index)


def test_levels_grow() -> None:
    """Each has the passes of the one before it, in the order of the pipeline."""
    assert passes_of(0) == ()
    assert passes_of(3) == PIPELINE
    assert passes_of(1) == tuple(each for each in PIPELINE if each.keeps is Keeps.EXACT)
    assert set(passes_of(1)) <= set(passes_of(2)) <= set(passes_of(3))


@pytest.mark.parametrize("each", PIPELINE, ids=str)
def test_every_pass_has_a_case_in_which_it_does_something(each: Pass) -> None:
    changing = [case for case in CASES if case.file.stem == each.name and case.after is not None]
    assert any(case.option("passes") in (None, each.name) or len(case.passes) == 1 for case in changing)


def claims() -> list[tuple[str, str]]:
    """Return what the comments in `PIPELINE` say: pairs of passes, the first of which has to come first."""
    text = inspect.getsource(pipeline).partition("PIPELINE: tuple")[2].partition("\n)\n")[0]
    names = {type(each).__name__: each.name for each in PIPELINE}
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, str]] = []
    for line in text.splitlines():
        waiting += re.findall(r"\b(before|behind) ([a-z]+(?:-[a-z]+)+)", line) if "#" in line else []
        place = re.match(r" +(\w+)\(", line)
        if place is not None:
            mine = names[place[1]]
            found += [(mine, other) if word == "before" else (other, mine) for word, other in waiting]
            waiting = []
    return found


def test_the_pipeline_says_something_of_its_order() -> None:
    order = [each.name for each in PIPELINE]
    assert len(claims()) >= 4
    for first, second in claims():
        assert order.index(first) < order.index(second), f"{first} before {second}"


@pytest.mark.parametrize(("first", "second"), claims(), ids=" before ".join)
def test_a_claimed_order_matters_in_a_case(first: str, second: str) -> None:
    """The case itself checks that the passes turned round come to something else."""

    def holds(case: Case) -> bool:
        names = [each.name for each in case.passes]
        return case.order_matters and {first, second} <= {*names} and names.index(first) < names.index(second)

    assert any(holds(case) for case in CASES)


# Passes as text


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", ()),
        ("clip", (Clip(),)),
        ("clip,late", (Clip(), Late())),
        ("clip{most=3,loud=true}", (Clip(most=3, loud=True),)),
        (' clip { most = 0, fault="a {b}, \\"c\\"=é" } , late', (Clip(most=0, fault='a {b}, "c"=é'), Late())),
        ("clip{},clip{fault=raise}", (Clip(), Clip(fault="raise"))),
        ('clip{fault="8"}', (Clip(fault="8"),)),
    ],
)
def test_text_names_passes(text: str, passes: tuple[Pass, ...]) -> None:
    assert parse_pipeline(text, KNOWN) == passes
    assert parse_pipeline(",".join(map(str, passes)), KNOWN) == passes


def test_passes_are_written_without_what_goes_without_saying() -> None:
    assert str(Clip()) == "clip"
    assert str(Clip(most=3, loud=True, fault="a")) == 'clip{most=3,loud=true,fault="a"}'
    assert option_name("most_tokens") == "most-tokens"
    assert parse_pipeline(",".join(map(str, PIPELINE))) == PIPELINE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clap", "found the pass 'clap'; wanted one of clip, late"),
        ("{", "found '{'; wanted a name or a value"),
        ("clip,", "found the end behind 'clip ,'; wanted a name or a value"),
        ("clip late", "found 'late' behind 'clip'; wanted ','"),
        ("clip{size=3}", "clip: found the option 'size'; wanted most, loud, fault"),
        ("late{size=3}", "late: found the option 'size'; wanted none"),
        ("clip{most}", "found '}' behind 'clip { most'; wanted '='"),
        ("clip{most=3", "found the end behind 'most = 3'; wanted ','"),
        ("clip{most=three}", "clip: most: found three; wanted a whole number"),
        ("clip{most=true}", "clip: most: found true; wanted a whole number"),
        ("clip{loud=1}", "clip: loud: found 1; wanted true or false"),
        ("clip{fault=8}", "clip: fault: found 8; wanted a text"),
        ("clip{most=1,most=2}", "clip: found most twice; wanted it once"),
        ("clip{most=-1}", "clip: found most=-1; wanted 0 or more"),
        ("late,clip", "found clip behind late; wanted passes on programs first"),
        ('clip{fault="a}', "found '\"' behind '{ fault ='; wanted a name or a value"),
    ],
)
def test_wrong_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_pipeline(text, KNOWN)
    assert str(caught.value) == message


# Running


def test_a_program_becomes_a_plan() -> None:
    """Each stage is there with its name and its time, and is seen as soon as it is there."""
    seen: list[Stage] = []
    found = optimize(judge(), (Late(), Clip()), Target(), lower, seen.append)
    assert [stage.name for stage in found.stages] == ["trace", "clip", "lower", "late"]
    assert seen == [*found.stages]
    assert found.plan == lower(judge())
    assert found.stages[1].graph is found.stages[0].graph
    assert all(stage.seconds >= 0 for stage in found.stages)
    assert [str(remark) for remark in found.remarks] == ["late: saw a plan"]


def test_a_plan_runs_through_passes_on_plans_alone() -> None:
    plan = lower(judge())
    assert [stage.name for stage in optimize(plan, KNOWN, Target(), lower).stages] == ["trace", "late"]


def test_a_program_may_stay_one() -> None:
    assert [stage.name for stage in optimize(judge(), KNOWN, Target(), None).stages] == ["trace", "clip"]


def test_remarks_are_counted_in_words() -> None:
    assert [counted(count, noun) for count, noun in ((1, "branch"), (0, "branch"), (2000, "text"))] == [
        "1 branch",
        "0 branches",
        "2,000 texts",
    ]


# Failing


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for failures."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("fault", ["raise", "drop arguments"])
def test_a_failure_can_be_repeated(fault: str, at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that it leaves behind holds the graph before the pass, and the command that does it again."""
    clip = Clip(fault=fault)
    target = Target(SamplingParams(temperature=0.0, stop=("'",)), ("clarity",), fixed={"topic": "it's"})
    with pytest.raises(PassError) as caught:
        optimize(linear(), (clip,), target, lower)
    error = caught.value
    messages = {
        "raise": "clip: found KeyError: 'lost'\n",
        "drop arguments": "clip: found VerifyError: programs/sample.py:10: @qa in append: found %question, which is",
    }
    assert str(error).startswith(messages[fault])
    assert error.file is not None and error.file.parent == at_home
    text = error.file.read_text(encoding="utf-8")
    (graph,) = parse_all(text)
    assert graph == linear()
    assert [op.location for op in graph.ops()] == [op.location for op in linear().ops()]
    command = re.search(r"^// repeat it with: (.*)$", text, re.MULTILINE)
    assert command is not None and command[0].removeprefix("// ") in str(error)
    monkeypatch.setattr(pipeline, "PIPELINE", KNOWN)
    monkeypatch.setattr("sglc.commands.opt.parse_pipeline", lambda text: parse_pipeline(text, KNOWN))
    said = CliRunner().invoke(app, shlex.split(command[1])[1:])
    assert (said.exit_code, said.stdout) == (2, "")
    assert said.stderr == f"sglc: error: {error}\n"


def test_lowering_that_fails_can_be_repeated(at_home: Path) -> None:
    def fail(graph: Graph) -> Graph:
        raise RuntimeError("no way down")

    with pytest.raises(
        PassError, match=r"lower: found RuntimeError: no way down\nrepeat it with: sglc opt \S+ --passes '' --plan$"
    ):
        optimize(linear(), (Clip(),), Target(), fail)


def test_a_failure_without_a_file_says_so(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(at_home / "nowhere"))
    with pytest.raises(PassError, match=r"the graph could not be written to .*: No such file or directory") as caught:
        optimize(linear(), (Clip(fault="raise"),), Target(), lower)
    assert caught.value.file is None
