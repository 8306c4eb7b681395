"""`sglc compile --check` says how far programs are captured, and what would mend the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sglc.cli import app
from sglc.language import capture

CAPTURED = """\
import sglc


@sglc.function
def plain(s, word):
    s += word + sglc.gen("reply", max_tokens=3) + sglc.select("end", choices=["a", "b"])
    if s["end"] == "a":
        s += sglc.call(len, s["reply"]) and "!"
"""
SPECIALIZED = """

@sglc.function
def several(s, words: list[str]):
    for word in words:
        s += word + sglc.gen(word)
"""
EAGER = """

@sglc.function
def endless(s, word):
    s += word + sglc.gen("reply")
    while "more" in s["reply"]:
        s += sglc.gen("reply")
"""
WITH_ERROR = """

@sglc.function
def refusing(s, word):
    s += word + sglc.gen("reply")
    if "no" in s["reply"]:
        raise ValueError("refused")
"""


def check(folder: Path, source: str, *options: str, name: str = "") -> Result:
    """Run `sglc compile --check` on a program file."""
    (folder / "program.py").write_text(source, encoding="utf-8")
    return CliRunner().invoke(app, ["compile", f"program.py{name}", "--check", *options])


def test_a_captured_program(folder: Path) -> None:
    said = check(folder, CAPTURED)
    assert (said.exit_code, said.stderr) == (0, "")
    pattern = r"program\.py:4: plain: captured: \d+ operations, 1 generation, 1 choice, 1 call, \d+ branch(es)?\n"
    assert re.fullmatch(pattern, said.stdout)


def test_every_program_of_a_file_is_told_of(folder: Path) -> None:
    said = check(folder, CAPTURED + SPECIALIZED + EAGER)
    assert said.exit_code == 1
    starts = [line.split(": ")[1] for line in said.stdout.splitlines() if not line.startswith(" ")]
    assert starts == ["plain", "several", "endless"]


def test_an_eager_region_has_its_line_its_cause_and_its_mend(folder: Path) -> None:
    said = check(folder, CAPTURED + EAGER, name=":endless")
    assert said.exit_code == 1
    head, region = said.stdout.splitlines()
    assert head.startswith("program.py:11: endless: partly eager: ")
    assert re.fullmatch(r"  program\.py:1[45]: .+; .+", region)


def test_where_a_program_ends_in_an_error_nothing_is_eager(folder: Path) -> None:
    said = check(folder, "import sglc\n" + WITH_ERROR)
    assert said.exit_code == 0
    assert "refusing: captured: " in said.stdout and len(said.stdout.splitlines()) == 1


def test_rows_say_what_a_program_is_specialized_on(folder: Path) -> None:
    (folder / "words.jsonl").write_text('{"words": ["a"]}\n{"words": ["b"]}\n{"words": []}\n', encoding="utf-8")
    said = check(folder, "import sglc\n" + SPECIALIZED, "--rows", "words.jsonl")
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert any("several: specialized, 1 row: " in line for line in lines)
    assert any(line.startswith("  assumes len(words) == 1") for line in lines)


def test_more_kinds_of_rows_than_graphs_are_counted(folder: Path) -> None:
    rows = "".join(json.dumps({"words": ["a"] * count}) + "\n" for count in range(capture.MAX_VARIANTS + 2))
    (folder / "words.jsonl").write_text(rows, encoding="utf-8")
    source = "import sglc\n" + SPECIALIZED.replace("sglc.gen(word)", "sglc.gen('x')")
    said = check(folder, source, "--rows", "words.jsonl")
    assert said.exit_code == 1
    assert said.stdout.splitlines()[-1] == "  2 rows more of other kinds: eager"


def test_json_says_the_same(folder: Path) -> None:
    said = check(folder, CAPTURED + EAGER, "--json")
    assert said.exit_code == 1
    plain, endless = json.loads(said.stdout)
    assert (plain["program"], plain["file"], plain["line"], plain["eager_rows"]) == ("plain", "program.py", 4, 0)
    (capture,) = plain["captures"]
    assert capture["tier"] == "captured" and capture["rows"] is None and capture["assumptions"] == []
    assert (capture["generations"], capture["choices"], capture["calls"]) == (1, 1, 1)
    assert capture["eager_regions"] == []
    (region,) = endless["captures"][0]["eager_regions"]
    assert region["file"].endswith("program.py") and region["line"] in (14, 15) and region["cause"] and region["mend"]


def test_only_checking_is_there_yet(folder: Path) -> None:
    (folder / "program.py").write_text(CAPTURED, encoding="utf-8")
    said = CliRunner().invoke(app, ["compile", "program.py"])
    assert (said.exit_code, said.stdout) == (2, "")
    assert said.stderr == "sglc: error: found no --check; wanted it, since sglc does not write bundles yet\n"


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("x = 1\n", (), "program.py: found no function decorated with @sglc.function; wanted one"),
        (CAPTURED + EAGER, ("--args", "{}"), "found 2 programs; wanted program.py:FUNCTION, one of plain, endless"),
    ],
)
def test_a_file_that_is_unusable(folder: Path, source: str, options: tuple[str, ...], message: str) -> None:
    said = check(folder, source, *options)
    assert said.exit_code == 2
    assert message in said.stderr
