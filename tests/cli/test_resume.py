"""A run that was stopped, by Ctrl-C, by kill -9 or by a limit, goes on with --resume and loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, read_results, write_rows

Start = Callable[..., subprocess.Popen[str]]
RUN = ("run", "slow.py", "--rows", "rows.jsonl", "--out", "out.jsonl")

SLOW = """\
import time

import sglc


@sglc.function
def slow(s, word):
    s += word + ":" + sglc.gen("reply", max_tokens=3)
    s["seen"] = s["reply"]
    time.sleep(0.002)
"""


def wait_for_lines(path: Path, process: subprocess.Popen[str], lines: int) -> None:
    """Wait until a file has so many lines, while the process runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.01)
    pytest.fail(f"no {lines} lines in a minute")


@pytest.fixture
def slow(folder: Path) -> Path:
    """The folder with a program of 2 ms a row and 500 rows."""
    (folder / "slow.py").write_text(SLOW, encoding="utf-8")
    write_rows(folder / "rows.jsonl", [f"word {number}" for number in range(500)])
    return folder


def test_kill_9_loses_no_row(slow: Path, start_sglc: Start, sglc_run: CommandLine) -> None:
    out = slow / "out.jsonl"
    process = start_sglc(*RUN)
    wait_for_lines(out, process, 100)
    process.kill()
    process.communicate()
    done = sglc_run("--resume", "--json", program="slow.py")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["resumed"] >= 100
    results = {result["index"]: result["text"] for result in read_results(out)}
    assert sorted(results) == list(range(500))
    assert len(read_results(out)) == 500
    assert sglc_run(program="slow.py", out="whole.jsonl").exit_code == 0
    assert results == {result["index"]: result["text"] for result in read_results(slow / "whole.jsonl")}


def test_ctrl_c_leaves_finished_rows(slow: Path, start_sglc: Start) -> None:
    out = slow / "out.jsonl"
    (slow / "slow.py").write_text(SLOW.replace("0.002", "0.02"), encoding="utf-8")  # time for a signal, however busy
    process = start_sglc(*RUN)
    wait_for_lines(out, process, 20)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130
    results = read_results(out)
    assert 20 <= len(results) < 500
    assert f"sglc: interrupted after {len(results)} rows; the same command with --resume goes on\n" in messages
    assert "Traceback" not in messages


def test_resuming_runs_what_is_left(folder: Path, sglc_run: CommandLine) -> None:
    assert sglc_run("--limit", "2").exit_code == 0
    done = sglc_run("--resume", "--json")
    assert (json.loads(done.stdout)["rows"], json.loads(done.stdout)["resumed"]) == (2, 2)
    assert sorted(result["index"] for result in read_results(folder / "out.jsonl")) == [0, 1, 2, 3]
    done = sglc_run("--resume", "--json")
    assert (json.loads(done.stdout)["rows"], json.loads(done.stdout)["resumed"]) == (0, 4)


def test_resuming_nothing_begins_anew(folder: Path, sglc_run: CommandLine) -> None:
    assert sglc_run("--resume").exit_code == 0
    assert len(read_results(folder / "out.jsonl")) == 4


def test_a_torn_line_is_run_again(folder: Path, sglc_run: CommandLine) -> None:
    assert sglc_run().exit_code == 0
    whole = read_results(folder / "out.jsonl")
    with (folder / "out.jsonl").open("r+b") as file:
        file.truncate((folder / "out.jsonl").stat().st_size - 3)
    assert sglc_run("--resume").exit_code == 0
    assert read_results(folder / "out.jsonl") == whole


def test_earlier_failures_still_count(folder: Path, sglc_run: CommandLine) -> None:
    write_rows(folder / "rows.jsonl", ["bad", "fine"])
    assert sglc_run().exit_code == 1
    done = sglc_run("--resume")
    assert done.exit_code == 1
    assert "1 of 2 rows failed: 0" in done.stderr


@pytest.mark.parametrize("changed", ["program", "rows", "model", "settings", "sampling", "outputs"])
def test_results_of_another_run_are_refused(folder: Path, sglc_run: CommandLine, changed: str) -> None:
    assert sglc_run("--limit", "2").exit_code == 0
    before = (folder / "out.jsonl").read_bytes()
    options: tuple[str, ...] = ()
    if changed == "program":
        (folder / "echo.py").write_text((folder / "echo.py").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    elif changed == "rows":
        write_rows(folder / "rows.jsonl", ["five"])
    elif changed == "model":
        trace = {"prompt": [1], "output": [2]}
        (folder / "trace.jsonl").write_text(json.dumps(trace) + "\n", encoding="utf-8")
        options = ("--model", "replay:trace.jsonl")
    elif changed == "settings":
        options = ("--dtype", "float64")
    elif changed == "sampling":
        options = ("--temperature", "0.5")
    else:
        options = ("--outputs", "reply")
    done = sglc_run("--resume", *options)
    assert done.exit_code == 2
    assert f"out.jsonl: found results of another {changed} (" in done.stderr
    assert (folder / "out.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": "-"}, "found --resume with --out -; wanted a file to go on with"),
        ({"rows": "-"}, "found --resume with rows from stdin, which can't be compared; wanted a file of rows"),
    ],
)
def test_streams_cannot_be_resumed(sglc_run: CommandLine, options: dict[str, str], message: str) -> None:
    done = sglc_run("--resume", **options)
    assert done.exit_code == 2
    assert done.stderr == f"sglc: error: {message}\n"


def test_resume_and_overwrite_exclude_each_other(sglc_run: CommandLine) -> None:
    done = sglc_run("--resume", "--overwrite")
    assert done.exit_code == 2
    assert "found --resume with --overwrite; wanted one of them" in done.stderr
