"""`sglc opt` runs passes on graphs of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sglc.cli import app
from sglc.ir.parser import parse_all
from sglc.passes.pipeline import PIPELINE, passes_of

GRAPH = """\
// what dump says of it
graph @ask(%question: text) {
  %0 = empty : prompt
  %1 = const {value = "Q: "} : text
  %2 = concat %1, %question : text loc("ask.py":3)
  %p = append %0, %2 : prompt
  %3, %a = gen %p {site = "/0.0.0:0"} : prompt, text
  %4, %b = gen %p {site = "/0.0.1:0"} : prompt, text
  return %3, a = %a, b = %b
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one graph."""
    path = tmp_path / "ask.sglir"
    path.write_text(GRAPH, encoding="utf-8")
    return path


def opt(*arguments: str, input: str | None = None) -> Result:  # noqa: A002 (CliRunner's name)
    """Run `sglc opt` in this process."""
    return CliRunner().invoke(app, ["opt", *arguments], input=input)


def test_named_passes_run_in_order(file: Path) -> None:
    said = opt(str(file), "--passes", "settle-parameters,share-common", "--params", '{"temperature": 0}', "--remarks")
    assert said.exit_code == 0
    (graph,) = parse_all(said.stdout)
    assert [op.name for op in graph.ops()] == ["empty", "const", "concat", "append", "gen", "return"]
    assert said.stderr == (
        "settle-parameters: temperature written into 2 generations\n"
        "share-common: 1 request served by equal ones before\n"
    )


def test_without_passes_it_is_what_runs_do(file: Path) -> None:
    """The plan of -O2; other levels are asked for."""
    plans = [opt(str(file), *level).stdout for level in ((), ("-O2",), ("-O0",))]
    assert plans[0] == plans[1] != plans[2]
    assert all(parse_all(plan)[0].level == "plan" for plan in plans)
    said = opt(str(file), "-O", "1", "--timing")
    names = [line.split()[0] for line in said.stderr.splitlines()]
    passes = passes_of(1)
    programs = [each.name for each in passes if each.level == "program"]
    assert names == ["trace", *programs, "lower", *(each.name for each in passes if each.level == "plan")]


def test_it_stops_where_it_is_told(file: Path) -> None:
    said = opt(str(file), "--after", "merge-text").stdout
    assert said.startswith("graph @ask") and "append %p, %question : prompt" in said
    assert opt(str(file), "--after", "lower").stdout.startswith("plan @ask")
    assert opt(str(file), "--passes", "", "--plan").stdout == opt(str(file), "-O0").stdout


def test_every_step_is_shown(file: Path) -> None:
    said = opt(str(file), "--passes", "fold-constants,merge-text", "--print-after-all", "--locations")
    assert said.stderr.startswith("// trace\ngraph @ask")
    assert "// fold-constants: unchanged\n// merge-text\ngraph @ask" in said.stderr
    assert [graph.text for graph in parse_all(said.stderr)][-1] == parse_all(said.stdout)[0].text
    assert 'loc("ask.py":3)' in said.stderr


def test_outputs_are_asked_for(file: Path) -> None:
    said = opt(str(file), "--passes", "eliminate-dead", "--outputs", "b, c", "--remarks")
    assert 'site = "/0.0.0:0"' not in said.stdout
    assert "return %0, b = %b" in said.stdout
    assert said.stderr == "eliminate-dead: left out 1 request\n"


def test_arguments_may_be_the_same_in_every_row(file: Path) -> None:
    said = opt(str(file), "--passes", "fix-arguments,merge-text", "--fixed", '{"question": "why?"}')
    assert 'const {value = "Q: why?"}' in said.stdout


def test_several_graphs_from_stdin() -> None:
    plan = "plan @empty() {\n  %0 = start : prompt\n  return %0\n}\n"
    said = opt("-", "-O1", input=f"{GRAPH}\n{plan}")
    assert said.exit_code == 0
    assert [(graph.name, graph.level) for graph in parse_all(said.stdout)] == [("ask", "plan"), ("empty", "plan")]


def test_a_tokenizer_may_be_given(file: Path) -> None:
    from sglc.backend.tokenizer import PACKAGED

    assert opt(str(file), "--tokenizer", str(PACKAGED)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--passes", "clap"), f"--passes: found the pass 'clap'; wanted one of {PIPELINE[0].name}, "),
        (("--passes", "merge-text", "-O1"), "found --passes and -O; wanted one of them"),
        (("--after", "clap"), f"--after: found 'clap'; wanted one of {PIPELINE[0].name}, "),
        (("--fixed", '{"question": [1]}'), "--fixed: found {'question': [1]}; wanted an object of texts, numbers"),
        (("--fixed", "[]"), "--fixed: found []; wanted an object of texts, numbers, truth values and nulls"),
        (("--params", "{"), "--params: Expecting property name"),
        (("--params", '{"heat": 1}'), "--params: found 'heat'; wanted an object of sampling parameters"),
        (("--params", "[]"), "--params: found '[]'; wanted an object of sampling parameters"),
        (("--params", '{"top_p": 2}'), "--params: top_p: found 2; wanted a number in (0, 1]"),
    ],
)
def test_wrong_options_are_2(file: Path, arguments: tuple[str, ...], message: str) -> None:
    said = opt(str(file), *arguments)
    assert (said.exit_code, said.stdout) == (2, "")
    assert said.stderr.startswith(f"sglc: error: {message}")


def test_wrong_files_are_2(file: Path, tmp_path: Path) -> None:
    said = opt(str(tmp_path / "none.sglir"))
    assert said.exit_code == 2 and "found no such file or directory; wanted a file of graphs" in said.stderr
    file.write_text("// nothing\n", encoding="utf-8")
    said = opt(str(file))
    assert said.exit_code == 2 and f"{file}:1: found no graph; wanted one or more" in said.stderr
    file.write_text("graph @f() {\n  return %0\n}\n", encoding="utf-8")
    said = opt(str(file))
    assert said.exit_code == 2 and f"{file}:2: found %0, which nothing before defines" in said.stderr
    said = opt("-", "--passes", "merge-text", input="plan @f() {\n  %0 = start : prompt\n  return %0\n}\n")
    assert said.exit_code == 2 and "@f: found a plan; wanted a program for merge-text" in said.stderr
