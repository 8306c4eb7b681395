"""`sglc dump` shows a program's graphs, each with how far the program was captured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sglc.cli import app
from sglc.ir.parser import parse_all

PROGRAM = """\
import sglc

print("loaded")

@sglc.function
def summarize(s, docs):
    for doc in docs:
        s += "Document: " + doc + "\\n"
    s += "Summary:" + sglc.gen("summary", max_tokens=8)


@sglc.function
def ask(s, question):
    s += "Q: " + question + "\\nA:" + sglc.gen("answer", max_tokens=8)
    while "more" in s["answer"]:
        s += sglc.gen("answer", max_tokens=8)
"""


@pytest.fixture
def program(folder: Path) -> Path:
    """`program.py` in the current folder, and rows of two kinds for `summarize`."""
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    rows = [{"docs": ["a", "b"]}, {"docs": ["c"]}, {"docs": ["d", "e"]}]
    (folder / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def dump(*options: str, program: str = "echo.py", input: str | None = None) -> Result:  # noqa: A002 (CliRunner's name)
    """Run `sglc dump` in this process."""
    return CliRunner().invoke(app, ["dump", program, *options], input=input)


def test_the_graph_for_any_text(folder: Path) -> None:
    (folder / "plain.py").write_text(
        "import sglc\n\n@sglc.function\ndef plain(s, word):\n    s += word + sglc.gen('reply')\n", encoding="utf-8"
    )
    said = dump(program="plain.py")
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout.startswith("// plain: captured\ngraph @plain(%word: text) {\n")
    (graph,) = parse_all(said.stdout)
    assert [op.name for op in graph.ops()] == ["empty", "append", "gen", "return"]


def test_a_graph_for_each_kind_of_row(program: Path) -> None:
    said = dump("--rows", "docs.jsonl", program="program.py:summarize")
    assert said.exit_code == 0
    assert said.stderr == "loaded\n"
    comments = [line for line in said.stdout.splitlines() if line.startswith("//")]
    assert comments == [
        "// summarize: specialized, 2 rows",
        "// assumes len(docs) == 2",
        "// summarize: specialized, 1 row",
        "// assumes len(docs) == 1",
    ]
    assert len(parse_all(said.stdout)) == 2


def test_the_graph_for_arguments(program: Path) -> None:
    said = dump("--args", '{"docs": ["x", "y", "z"]}', program="program.py:summarize")
    assert said.stdout.startswith("// summarize: specialized\n// assumes len(docs) == 3\ngraph @summarize(")


def test_rows_may_come_from_stdin(program: Path) -> None:
    said = dump("--rows", "-", program="program.py:summarize", input='{"docs": []}\n')
    assert "// summarize: specialized, 1 row\n" in said.stdout


def test_a_line_of_the_program_leads_to_its_operations(program: Path) -> None:
    said = dump("--args", '{"docs": ["x"]}', "--locations", program="program.py:summarize")
    of_line_9 = [line for line in said.stdout.splitlines() if line.endswith('program.py":9)')]
    assert any(" gen " in line for line in of_line_9)
    (graph,) = parse_all(said.stdout)
    assert {op.location.line for op in graph.ops() if op.location and op.name in ("append", "gen")} == {8, 9}


def test_an_eager_region_is_named_above_the_graph(program: Path) -> None:
    said = dump(program="program.py:ask")
    assert said.stdout.startswith("// ask: partly eager\n// eager program.py:1")
    assert "  eager {cause = " in said.stdout


def test_the_plan(program: Path) -> None:
    said = dump("--args", '{"docs": ["x"]}', "--plan", program="program.py:summarize")
    assert "\nplan @summarize(" in said.stdout
    assert " decode " in said.stdout and " gen " not in said.stdout


def test_dot_has_a_drawing_for_each(program: Path) -> None:
    said = dump("--rows", "docs.jsonl", "--format", "dot", program="program.py:summarize")
    assert said.stdout.count('digraph "summarize" {') == 2
    assert said.stdout.startswith("// summarize: specialized, 2 rows\n")


def test_mermaid_and_svg_have_one_drawing(program: Path) -> None:
    said = dump("--args", '{"docs": ["x"]}', "--format", "mermaid", program="program.py:summarize")
    assert said.stdout.startswith("%% summarize: specialized\n%% assumes len(docs) == 1\nflowchart TD\n")
    for form in ("mermaid", "svg"):
        said = dump("--rows", "docs.jsonl", "--format", form, program="program.py:summarize")
        assert said.exit_code == 2
        assert "found 2 graphs for different kinds of rows; wanted --format html" in said.stderr


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg(program: Path) -> None:
    said = dump("--args", '{"docs": ["x"]}', "--format", "svg", program="program.py:summarize")
    assert said.exit_code == 0 and "</svg>" in said.stdout


def test_the_page_has_a_tab_for_each(program: Path) -> None:
    said = dump("--rows", "docs.jsonl", "--format", "html", "-o", "page.html", program="program.py:summarize")
    assert (said.exit_code, said.stdout) == (0, "")
    page = (program / "page.html").read_text(encoding="utf-8")
    assert ">summarize 1 (2 rows)</button>" in page and ">summarize 2 (1 row)</button>" in page
    assert "<title>program.py</title>" in page
    assert "<code>    s += &quot;Summary:&quot; + sglc.gen(&quot;summary&quot;, max_tokens=8)</code>" in page
    assert "characters of fixed text" in page


def test_the_page_counts_with_a_tokenizer(program: Path, repository: Path) -> None:
    tokenizer = str(repository / "sglc" / "data" / "tokenizer")
    options = ("--args", '{"docs": ["x"]}', "--format", "html", "--tokenizer", tokenizer)
    assert "tokens of fixed text" in dump(*options, program="program.py:summarize").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--args", "{"), "--args: found malformed JSON ("),
        (("--args", "[1]"), "--args: found '[1]'; wanted an object of arguments by name"),
        (("--args", '{"nothing": 1}'), "found the argument 'nothing'"),
        (("--rows", "none.jsonl"), "none.jsonl: found no file; wanted a file of rows"),
        (("--rows", "empty.jsonl"), "empty.jsonl: found no rows; wanted at least one"),
        (("--rows", "docs.jsonl", "--args", "{}"), "found --rows and --args; wanted one of them"),
        (("--rows", "rows.jsonl"), "rows.jsonl:1: row 0: found no field 'docs'"),
        (("-o", "no/folder/file"), "no/folder/file: found that it can't be written (No such file or directory)"),
    ],
)
def test_input_that_is_unusable(program: Path, options: tuple[str, ...], message: str) -> None:
    (program / "empty.jsonl").write_text("\n", encoding="utf-8")
    said = dump(*options, program="program.py:summarize")
    assert said.exit_code == 2
    assert said.stdout == ""
    assert said.stderr.replace("loaded\n", "").startswith("sglc: error: ") and message in said.stderr
