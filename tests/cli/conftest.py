"""A folder with a program and its rows, and the command line called on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sglc.cli import app

PROGRAM = """\
import sglc


@sglc.function
def echo(s, word, times=1):
    s += word + ":" + sglc.gen("reply", max_tokens=3)
    if word == "bad":
        raise ValueError("a bad word")
    s["repeated"] = word * times
"""

CommandLine = Callable[..., Result]


def write_rows(path: Path, words: list[str]) -> None:
    """Write one row for each word."""
    path.write_text("".join(json.dumps({"word": word}) + "\n" for word in words), encoding="utf-8")


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the results of a file, in the order they came."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `echo.py` and four rows in `rows.jsonl`; replay:hash is the model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SGLC_MODEL", "replay:hash")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "echo.py").write_text(PROGRAM, encoding="utf-8")
    write_rows(tmp_path / "rows.jsonl", ["one", "two", "three", "four"])
    return tmp_path


@pytest.fixture
def sglc_run(folder: Path) -> CommandLine:
    """`sglc run` in this process; the options left out are the ones of `folder`."""

    def call(
        *options: str,
        program: str = "echo.py",
        rows: str = "rows.jsonl",
        out: str = "out.jsonl",
        input: str | None = None,  # noqa: A002 (the name that CliRunner has)
    ) -> Result:
        return CliRunner().invoke(app, ["run", program, "--rows", rows, "--out", out, *options], input=input)

    return call


@pytest.fixture
def start_sglc(folder: Path) -> Callable[..., subprocess.Popen[str]]:
    """`sglc` in a process of its own, so that it can be interrupted."""

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sglc", *arguments]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start
