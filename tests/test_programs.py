"""Every program of `programs/` runs over its rows, says what it shows, and is short enough to read."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sglc
from sglc.commands.program_file import load_program
from sglc.rows import Signature, check_rows, read_rows

PROGRAMS = sorted((Path(__file__).resolve().parent.parent / "programs").glob("*.py"))
FEWEST_LINES, MOST_LINES = 20, 80

each_program = pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)

EXPECTED = {
    "choice_classification": {"team", "urgent"},
    "few_shot_qa": {"sum", "answer"},
    "judge_with_forks": {"remark", "grade"},
    "multi_turn_chat": {"answer_0", "summary"},
    "react": {"thought_0", "action", "answer"},
    "self_consistency": {"votes", "answer"},
    "skeleton_of_thought": {"point_1", "paragraph"},
    "tree_of_thought": {"plans", "verdicts", "result"},
}
"""What each program sets on every row."""


def rows_of(path: Path) -> Path:
    """Return the file of rows that belongs to a program."""
    return path.parent / "rows" / f"{path.stem}.jsonl"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[sglc.Engine]:
    """The replay model with chat turns."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    with contextlib.closing(sglc.Engine("replay:hash", chat_template="chatml")) as engine:
        yield engine


@each_program
def test_it_is_short_and_says_what_it_shows(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert FEWEST_LINES <= len(lines) <= MOST_LINES
    assert lines[0].startswith('"""')
    assert lines[0].endswith('."""')


@each_program
def test_it_runs(path: Path, engine: sglc.Engine) -> None:
    program = load_program(str(path)).function
    signature = Signature(tuple(program.arg_names), frozenset(program.required))
    count = check_rows(rows_of(path), signature).count
    states = list(program.run_batch([row.fields for row in read_rows(rows_of(path), signature)], backend=engine))
    assert len(states) == count >= 2
    for state in states:
        assert state.error is None
        assert set(state.variables()) >= EXPECTED[path.stem]


@pytest.mark.parametrize("name", ["judge_with_forks", "react"])
def test_sglc_run_runs_it(name: str, repository: Path, tmp_path: Path) -> None:
    path, out = repository / "programs" / f"{name}.py", tmp_path / "out.jsonl"
    command = ["run", str(path), "--rows", str(rows_of(path)), "--out", str(out), "--model", "replay:hash", "--json"]
    done = subprocess.run([sys.executable, "-m", "sglc", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert json.loads(done.stdout)["rows"] == len(results)
    assert all(set(result["variables"]) >= EXPECTED[name] for result in results)


def test_every_program_has_rows_and_expectations() -> None:
    assert {path.stem for path in PROGRAMS} == set(EXPECTED)
    assert all(rows_of(path).exists() for path in PROGRAMS)
