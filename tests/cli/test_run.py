"""`sglc run`: one line a row, whatever happens to the rows, and a summary that can be read by a program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine, read_results, write_rows


def test_each_row_becomes_a_line(folder: Path, sglc_run: CommandLine) -> None:
    done = sglc_run()
    assert done.exit_code == 0, done.stderr
    assert done.stdout == ""
    results = read_results(folder / "out.jsonl")
    assert sorted(result["index"] for result in results) == [0, 1, 2, 3]
    for result in results:
        assert list(result) == ["index", "variables", "text", "error", "finish"]
        assert result["error"] is None
        assert result["finish"]["reply"] in {"length", "stop", "eos"}
        word = ["one", "two", "three", "four"][result["index"]]
        assert result["variables"]["repeated"] == word
        assert result["text"] == f"{word}:{result['variables']['reply']}"


def test_a_failing_row_stops_no_other(folder: Path, sglc_run: CommandLine) -> None:
    write_rows(folder / "rows.jsonl", ["fine"] * 500 + ["bad"] + ["fine"] * 499)
    done = sglc_run()
    assert done.exit_code == 1
    results = {result["index"]: result for result in read_results(folder / "out.jsonl")}
    assert len(results) == 1000
    assert [index for index, result in results.items() if result["error"]] == [500]
    assert results[500]["error"] == {
        "type": "ValueError",
        "message": "a bad word",
        "file": str(folder / "echo.py"),
        "line": 8,
    }
    assert f"sglc: row 500: {folder / 'echo.py'}:8: ValueError: a bad word\n" in done.stderr
    assert "sglc: 1 of 1000 rows failed: 500\n" in done.stderr


def test_the_summary_is_one_object(sglc_run: CommandLine) -> None:
    done = sglc_run("--json")
    summary = json.loads(done.stdout)
    assert summary["rows"] == 4
    assert summary["failed"] == 0
    assert summary["counters"]["decoded"] > 0
    assert summary["rows_per_second"] > 0


def test_streams(sglc_run: CommandLine) -> None:
    done = sglc_run("--json", rows="-", out="-", input='{"word": "a"}\n\noops\n{"word": "b", "times": 2}')
    assert done.exit_code == 1
    results = {result["index"]: result for result in map(json.loads, done.stdout.splitlines())}
    assert results[0]["variables"]["repeated"] == "a"
    assert results[1]["error"]["type"] == "InputError"
    assert (results[1]["error"]["file"], results[1]["error"]["line"]) == ("<stdin>", 3)
    assert results[2]["variables"]["repeated"] == "bb"
    assert json.loads(done.stderr.splitlines()[-1])["failed"] == 1


def test_what_a_program_prints_is_no_result(folder: Path, sglc_run: CommandLine) -> None:
    program = folder / "echo.py"
    program.write_text(program.read_text(encoding="utf-8") + "    print('a word')\n", encoding="utf-8")
    done = sglc_run(out="-")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 4
    assert done.stderr.count("a word\n") == 4


def test_outputs_and_limit(folder: Path, sglc_run: CommandLine) -> None:
    assert sglc_run("--outputs", "reply", "--limit", "2").exit_code == 0
    results = read_results(folder / "out.jsonl")
    assert sorted(result["index"] for result in results) == [0, 1]
    assert all(list(result["variables"]) == ["reply"] for result in results)


def test_an_output_that_no_row_sets_is_named(sglc_run: CommandLine) -> None:
    done = sglc_run("--outputs", "reply, replay")
    assert done.exit_code == 0
    assert "sglc: no row has set 'replay', which --outputs asks for\n" in done.stderr
    assert "'reply'" not in done.stderr


def test_sampling_defaults_reach_the_engine(folder: Path, sglc_run: CommandLine) -> None:
    def texts(*options: str) -> dict[int, str]:
        assert sglc_run(*options, "--overwrite").exit_code == 0
        return {result["index"]: result["text"] for result in read_results(folder / "out.jsonl")}

    assert texts("--seed", "1") == texts("--seed", "1")
    assert texts("--seed", "1") != texts("--seed", "2")
    assert texts("--temperature", "0", "--seed", "1") == texts("--temperature", "0", "--seed", "2")


def test_an_eager_run_has_the_same_results(folder: Path, sglc_run: CommandLine) -> None:
    """Captured or not, a row comes to the same."""
    assert sglc_run("--overwrite").exit_code == 0
    captured = sorted((folder / "out.jsonl").read_text().splitlines())
    assert sglc_run("--eager", "--overwrite").exit_code == 0
    assert sorted((folder / "out.jsonl").read_text().splitlines()) == captured


def test_a_row_draws_the_same_at_any_concurrency(folder: Path, sglc_run: CommandLine) -> None:
    texts = []
    for concurrency in ("1", "64"):
        assert sglc_run("--concurrency", concurrency, "--overwrite").exit_code == 0
        texts.append({result["index"]: result["text"] for result in read_results(folder / "out.jsonl")})
    assert texts[0] == texts[1]


def test_an_old_file_is_refused(folder: Path, sglc_run: CommandLine) -> None:
    (folder / "out.jsonl").write_text("precious\n", encoding="utf-8")
    done = sglc_run()
    assert done.exit_code == 2
    assert done.stderr == (
        "sglc: error: out.jsonl: found results there already; wanted --resume, --overwrite or another --out\n"
    )
    assert (folder / "out.jsonl").read_text(encoding="utf-8") == "precious\n"
    assert sglc_run("--overwrite").exit_code == 0
    assert len(read_results(folder / "out.jsonl")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"rows": "none.jsonl"},
            "none.jsonl: found no readable file (No such file or directory); wanted",
        ),
        ({"program": "none.py"}, "none.py: found no such file or directory; wanted a program file"),
        ({"program": "echo.py:other"}, "echo.py: found no program 'other'; wanted echo"),
        ({"out": "none/out.jsonl"}, "none/out.jsonl: found no folder none; wanted one that exists"),
        ({"out": "rows.jsonl"}, "rows.jsonl: found the file of rows as --out too; wanted another file"),
    ],
)
def test_unusable_options(sglc_run: CommandLine, options: dict[str, str], message: str) -> None:
    done = sglc_run("--overwrite", **options)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"sglc: error: {message}")
    assert done.stderr.count("\n") == 1


def test_sampling_out_of_range_leaves_no_file(folder: Path, sglc_run: CommandLine) -> None:
    done = sglc_run("--temperature", "-1")
    assert done.exit_code == 2
    assert done.stderr == "sglc: error: temperature: found -1.0; wanted a finite number ≥ 0\n"
    assert not (folder / "out.jsonl").exists()


def test_no_model(sglc_run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SGLC_MODEL")
    done = sglc_run()
    assert done.exit_code == 2
    assert "found no model; wanted --model" in done.stderr


def test_a_missing_model_folder(sglc_run: CommandLine) -> None:
    done = sglc_run("--model", "./no-such-model")
    assert done.exit_code == 2
    assert "no-such-model" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("oops", "rows.jsonl:2: found malformed JSON at column 1 (Expecting value); wanted one JSON object a line"),
        ("[]", "rows.jsonl:2: row 1: found an array; wanted a JSON object"),
        ("{}", "rows.jsonl:2: row 1: found no field 'word'; wanted 'word', 'times'"),
        ('{"word": "a", "x": 1}', "rows.jsonl:2: row 1: found an unknown field 'x'; wanted 'word', 'times'"),
    ],
)
def test_an_unusable_row_stops_the_run_before_it_begins(
    folder: Path, sglc_run: CommandLine, line: str, message: str
) -> None:
    (folder / "rows.jsonl").write_text('{"word": "a"}\n' + line + "\n", encoding="utf-8")
    done = sglc_run()
    assert done.exit_code == 2
    assert done.stderr == f"sglc: error: {message}\n"
    assert not (folder / "out.jsonl").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(sglc_run: CommandLine) -> None:
    done = sglc_run(out="/dev/full")
    assert done.exit_code == 2
    assert "sglc: error: /dev/full: found no space left on the device while writing row" in done.stderr
    assert not Path("/dev/full.meta").exists()


def test_debug_shows_where(sglc_run: CommandLine) -> None:
    assert "Traceback" not in sglc_run(rows="none.jsonl").stderr
    assert "Traceback" in sglc_run("--debug", rows="none.jsonl").stderr


def test_rows_of_a_slow_pipe_run_as_they_come(folder: Path) -> None:
    command = [sys.executable, "-m", "sglc", "run", "echo.py", "--rows", "-", "--out", "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin
    assert process.stdout
    for number in range(3):
        process.stdin.write(json.dumps({"word": f"word {number}"}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["index"] == number  # before the next row is written
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    assert process.stdout.read() == b""
    process.stdout.close()
