"""`sglc explain` shows a program's plan, what rows cost and why, and what a run did cost."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sglc.cli import app
from sglc.ir.parser import parse_all
from sglc.ir.wording import columns

PROGRAM = """\
import sglc


@sglc.function
def ask(s, question, hint="none"):
    s += "You answer questions in a word or two, and think before. " * 3
    s += "Hint: " + hint + "\\n" + "Question: " + question + "\\n"
    s += "Answer:" + sglc.gen("answer", max_tokens=12, stop="\\n", temperature=0)
    s += "\\nSure? " + sglc.select("sure", choices=["yes", "no"])
    if s["sure"] == "no":
        s += "\\nThen:" + sglc.gen("then", max_tokens=5)
"""

UNCAPTURED = """\
import sglc


@sglc.function
def wait(s, question):
    s += question
    while "end" not in s.text():
        s += sglc.gen("more", max_tokens=20)
        if len(s.text()) > 100:
            break
"""


@pytest.fixture
def program(folder: Path) -> Path:
    """`ask.py`, `wait.py` and rows for both in the current folder."""
    (folder / "ask.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "wait.py").write_text(UNCAPTURED, encoding="utf-8")
    rows = [{"question": f"What is {number % 3}, and why?"} for number in range(6)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def explain(*options: str, program: str = "ask.py", input: str | None = None) -> Result:  # noqa: A002 (CliRunner's name)
    """Run `sglc explain` in this process."""
    return CliRunner().invoke(app, ["explain", program, *options], input=input)


def explained(*options: str, program: str = "ask.py") -> dict[str, Any]:
    """Return what `sglc explain --json` says."""
    said = explain("--json", *options, program=program)
    assert said.exit_code == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def figures(text: str, name: str) -> list[str]:
    """Return the numbers behind a name in the table of costs."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"  {name}  ")]
    return line.removeprefix(f"  {name}").split()


def test_the_plan_for_any_row(program: Path) -> None:
    said = explain()
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout.startswith("ask(question)  ask.py:4\ncaptured · any row · -O2\n")
    assert re.search(r'^ +8 +≤ 12 +3  gen %answer  stop="⏎"', said.stdout, re.MULTILINE)
    assert 's += "Answer:" + sglc.' in said.stdout
    assert "measured" not in said.stdout and "at most" not in said.stdout


def test_the_plan_for_arguments(program: Path) -> None:
    given = json.dumps({"question": "Why?"})
    (graph,) = explained("--args", given, "-O", "0")["graphs"]
    assert graph["rows"] is None
    assert [node["kind"] for node in graph["tree"]] == (
        ["text", "gen", "text", "select", "branch", "case", "text", "gen", "case"]
    )
    (plan,) = parse_all(graph["plan"])
    assert plan.level == "plan"


def test_characters_are_counted_without_a_tokenizer(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGLC_MODEL")
    said = explained()
    assert said["unit"] == "characters"
    assert explained("--model", "replay:hash")["unit"] == "tokens"


def test_rows_are_bounded(program: Path) -> None:
    said = explain("--rows", "questions.jsonl")
    assert (said.exit_code, said.stderr) == (0, "")
    text = said.stdout
    assert "captured · 6 rows · -O2 · replay:hash · 65,536 KV tokens" in text
    most, longest = figures(text, "tokens decoded")
    assert int(most) == 3 * 12 + 6 * 5  # three questions are asked twice, and answered once
    assert 3 * 12 <= int(longest) <= int(most)
    assert "passes (outputs at full length)" in text
    assert all(columns(line) <= 100 for line in text.splitlines())


def test_a_run_stands_beside_what_was_predicted(program: Path) -> None:
    said = explain("--rows", "questions.jsonl", "--analyze")
    assert (said.exit_code, said.stderr) == (0, "")
    for name in ("prompt tokens filled", "tokens decoded", "forward passes", "texts tokenized"):
        most, predicted, measured = figures(said.stdout, name)
        assert predicted == measured
        assert int(most.replace(",", "")) >= int(measured.replace(",", ""))
    assert re.search(r"^  ask\.py:8  s \+= \"Answer:\"", said.stdout, re.MULTILINE)
    assert "passes (outputs as measured)" in said.stdout
    assert "without any pass" in said.stdout
    assert all(columns(line) <= 100 for line in said.stdout.splitlines())


def test_all_of_it_as_json(program: Path) -> None:
    said = explained("--rows", "questions.jsonl", "--analyze", "--outputs", "answer")
    assert said["rows"] == 6 and said["rows_in_python"] == 0
    measured, predicted, most = said["measured"], said["predicted"], said["at_most"]
    for name, value in predicted.items():
        assert measured["counters"][name] == value
        assert most[name] is None or most[name] >= value
    assert sum(each["decoded"] for each in measured["statements"]) == predicted["decoded"]
    assert {each["line"] for each in measured["statements"]} == {8}  # nothing else is wanted
    (graph,) = said["graphs"]
    gens = [node for node in graph["tree"] if node["kind"] == "gen"]
    assert [(node["line"], node["most_new_tokens"]) for node in gens] == [(8, 12)]
    texts = [node for node in graph["tree"] if node["kind"] == "text"]
    assert texts[0]["different_prompts"] == 3 and texts[0]["tokens"]["min"] == texts[0]["tokens"]["max"] > 20
    assert "pinned" in texts[0]["flags"]
    assert {"hoist-prefix", "settle-seams"} <= {remark["pass"] for remark in graph["remarks"]}
    costs = {each["pass"]: each["cost"] for each in said["without"]}
    assert costs["eliminate-dead"] is None  # what it takes out was never asked
    assert costs["share-rows"]["decoded"] > said["compared"]["decoded"]


def test_the_level_and_the_limit(program: Path) -> None:
    said = explained("--rows", "questions.jsonl", "-O", "0", "--limit", "2", "--temperature", "0.5")
    assert (said["rows"], said["level"], said["without"]) == (2, "-O0", [])
    assert said["graphs"][0]["remarks"] == []


def test_what_runs_in_python_is_said(program: Path) -> None:
    said = explain("--rows", "questions.jsonl", "--analyze", program="wait.py")
    assert said.exit_code == 0, said.stderr
    assert "in Python: wait.py:" in said.stdout
    assert "6 of 6 rows run in Python, at least in part: nothing can be foretold of them" in said.stdout
    assert "measured" in said.stdout and "predicted" not in said.stdout


def test_rows_that_fail_end_it_with_1(program: Path) -> None:
    (program / "rows.jsonl").write_text('{"word": "good"}\n{"word": "bad"}\n', encoding="utf-8")
    said = explain("--rows", "rows.jsonl", "--analyze", program="echo.py")
    assert said.exit_code == 1
    assert "1 of 2 rows failed" in said.stderr
    assert "tokens decoded" in said.stdout


def test_a_page_with_an_overview(program: Path) -> None:
    said = explain("--rows", "questions.jsonl", "--analyze", "--html", "page.html")
    assert said.exit_code == 0, said.stderr
    page = (program / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<link|@import|src=|url\((?!#)", page)
    assert "{{" not in page
    HTMLParser().feed(page)
    assert 'id="tab0"' in page and "overview" in page and "ask (6 rows)" in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1].replace("\\u003c", "<"))  # type: ignore[index]
    assert data[0] == [] and len(data) == 2
    links = {int(place) for place in re.findall(r'href="#t1-o(\d+)"', page)}
    assert links and max(links) < len(data[1])
    assert "gen %answer" in page and "measured, by statement" in page


def test_a_timeline(program: Path) -> None:
    said = explain("--rows", "questions.jsonl", "--analyze", "--timeline", "run.json")
    assert said.exit_code == 0, said.stderr
    events = json.loads((program / "run.json").read_text(encoding="utf-8"))["traceEvents"]
    assert {"steps", "row 0", "row 5"} <= {event["args"].get("name") for event in events}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--analyze"], "found --analyze without --rows; wanted rows to run"),
        (["--rows", "questions.jsonl", "--timeline", "x"], "found --timeline without --analyze; wanted a run to show"),
        (["--rows", "questions.jsonl", "--args", "{}"], "found --rows and --args; wanted one of them"),
        (["--rows", "none.jsonl"], "none.jsonl: found no file; wanted a file of rows"),
        (["--rows", "rows.jsonl"], "rows.jsonl:1: row 0: found no field 'question'; wanted 'question', 'hint'"),
        (["--args", "[]"], "--args: found '[]'; wanted an object of arguments by name"),
        (["--rows", "questions.jsonl", "--html", "none/x"], "none/x: found that it can't be written"),
        (["--rows", "questions.jsonl", "--model", "replay:none"], "found no file 'none' to replay"),
        (["--temperature", "-1"], "temperature"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_unusable_input(options: list[str], message: str, program: Path) -> None:
    said = explain(*options)
    assert said.exit_code == 2, said.stdout
    assert message in said.stderr


def test_rows_without_a_model(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGLC_MODEL")
    said = explain("--rows", "questions.jsonl")
    assert said.exit_code == 2
    assert "found no model; wanted --model" in said.stderr


def test_rows_from_stdin(program: Path) -> None:
    said = explain("--rows", "-", "--json", input=(program / "questions.jsonl").read_text(encoding="utf-8"))
    assert json.loads(said.stdout)["rows"] == 6


def test_a_checkpoint_is_not_loaded_for_a_bound(program: Path, tmp_path: Path) -> None:
    """A folder without weights is enough: only its tokenizer and its configuration are read."""
    from sglc.backend.tokenizer import PACKAGED

    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer.json").write_bytes((PACKAGED / "tokenizer.json").read_bytes())
    (model / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 512}', encoding="utf-8")
    said = explained("--rows", "questions.jsonl", "--model", str(model))
    assert said["at_most"]["decoded"] == 3 * 12 + 6 * 5


def test_constraints_have_a_section(program: Path) -> None:
    (program / "fill.py").write_text(
        "import sglc\n\n\n@sglc.function\ndef fill(s, text):\n"
        '    s += text + sglc.gen("date", regex="[0-9]-ab")\n'
        '    s += sglc.gen("open", json_schema={"type": "object"})\n',
        encoding="utf-8",
    )
    said = explain("--html", "fill.html", program="fill.py")
    assert said.exit_code == 0, said.stderr
    assert re.search(
        r"^ +6  %date  regex +our table +5 +60% · \d+% +[\d.]+ KiB +[\d.,]+ ms$", said.stdout, re.MULTILINE
    )
    assert re.search(r"^ +7  %open  json_schema +llguidance +[\d.,]+ ms$", said.stdout, re.MULTILINE)
    assert "missed  fill.py:6: constraint-tax: %date is held to a regex" in said.stdout
    assert "<h3>constraints</h3>" in (program / "fill.html").read_text(encoding="utf-8")
    (date, other) = explained(program="fill.py")["graphs"][0]["constraints"]
    assert {key: date[key] for key in ("name", "kind", "written", "served_by", "states", "forced_states")} == {
        "name": "date",
        "kind": "regex",
        "written": "[0-9]-ab",
        "served_by": "our table",
        "states": 5,
        "forced_states": 0.6,
    }
    assert (other["served_by"], other["states"], other["forced_tokens"]) == ("llguidance", None, None)
    assert "seconds" not in date
    assert explained(program="ask.py")["graphs"][0]["constraints"] == []
