"""What README.md shows, works: every python and console block is run, and every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sglc.cli import EXIT_UNUSABLE_INPUT
from sglc.ir.parser import parse

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def readme(repository: Path) -> str:
    """The text of README.md."""
    return (repository / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return [body for name, body in BLOCK.findall(text) if name == language]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of a console block; `sglc` and `python` are this environment's."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)


def test_every_block_is_known(readme: str) -> None:
    assert {name for name, _ in BLOCK.findall(readme)} == {"sh", "python", "console", "json", "sglir"}
    assert readme.count("```") == 2 * len(BLOCK.findall(readme))


def test_the_two_commands_come_first(readme: str) -> None:
    assert blocks(readme, "sh")[0] == "make demo\nmake test\n"
    assert "pip install" in blocks(readme, "sh")[1]


def test_the_python_blocks_run(readme: str, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(readme, "python")):
        file = tmp_path / f"block_{number}.py"
        file.write_text(block, encoding="utf-8")
        subprocess.run([sys.executable, "-W", "error", str(file)], cwd=tmp_path, check=True)


def test_the_graph_is_that_of_the_program_above_it(readme: str, tmp_path: Path) -> None:
    (graph,) = blocks(readme, "sglir")
    program = next(block for block in blocks(readme, "python") if ".trace()" in block)
    file = tmp_path / "poll.py"
    file.write_text(program, encoding="utf-8")
    shown = subprocess.run([sys.executable, "-W", "error", str(file)], capture_output=True, text=True, check=True)
    assert shown.stdout.rstrip() == graph.rstrip()
    assert str(parse(graph)) == graph


def test_the_console_blocks_run(readme: str, tmp_path: Path) -> None:
    program, *_ = blocks(readme, "python")
    (tmp_path / "judge.py").write_text(program.partition("\nengine =")[0], encoding="utf-8")
    rows = '{"essay": "Clocks are loud."}\n{"essay": "Write letters."}\n'
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    lines = [line for block in blocks(readme, "console") for line in block.splitlines()]
    assert len(lines) >= 3
    for line in lines:
        assert line.startswith("$ "), f"{line}: wanted a command"
        done = shell(line.removeprefix("$ "), tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    results = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(results) == 2
    (shown,) = map(json.loads, blocks(readme, "json"))
    assert list(shown) == list(results[0])
    assert set(shown["variables"]) == set(results[0]["variables"])


def test_the_exit_codes_are_the_real_ones(readme: str, tmp_path: Path) -> None:
    assert "0 done, 1 some rows failed, 2 unusable input, 130 Ctrl-C" in readme
    assert shell(shlex.join(["sglc", "run", "none.py", "--rows", "-", "--out", "-"]), tmp_path).returncode == (
        EXIT_UNUSABLE_INPUT
    )


def test_the_links_lead_somewhere(readme: str, repository: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert links
    for link in links:
        assert link.startswith("https://") or (repository / link).exists(), link
