"""A result that was written stays written; what a crash tore is dropped; another run's results are refused."""

from __future__ import annotations

import errno
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

import sglc.results.file as results_file
from sglc.errors import InputError, Location, ProgramError
from sglc.results.file import ResultsFile, ResultsStream, read_finished
from sglc.results.line import encode_result, error_object
from sglc.results.note import check_note, note_path, write_note


def result(index: int, **more: Any) -> dict[str, Any]:
    """Return a result of a row that went well."""
    return {"index": index, "variables": {}, "text": "", "error": None, "finish": {}} | more


def write_all(path: Path, *results: dict[str, Any], keep: int = 0) -> None:
    """Write results to a file and close it."""
    file = ResultsFile(path, keep=keep)
    for one in results:
        file.write(one)
    file.close()


def test_a_line_is_json_whatever_a_variable_holds() -> None:
    odd = {"half": "\ud83d", "nan": float("nan"), "set": {1}, 3: (1, [None, True]), "line": "a\nb\u2028é"}
    line = encode_result(result(0, variables=odd))
    assert line.count(b"\n") == 1
    strict = json.loads(line.decode("utf-8"), parse_constant=pytest.fail)
    assert strict["variables"] == {
        "half": "\ud83d",
        "nan": "nan",
        "set": "{1}",
        "3": [1, [None, True]],
        "line": "a\nb\u2028é",
    }


def test_finished_rows_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_all(path, result(4), result(0, error={"type": "ValueError"}), result(2))
    finished = read_finished(path)
    assert finished.indices == {0, 2, 4}
    assert finished.failed == {0}
    assert finished.size == path.stat().st_size


@pytest.mark.parametrize("tail", [b'{"index": 7, "va', b'{"index": 7}', b"\0\0\0\0\n", b"{}\n"])
def test_a_torn_last_line_is_dropped(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "out.jsonl"
    write_all(path, result(0), result(1))
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    finished = read_finished(path)
    assert finished.indices == {0, 1}
    write_all(path, result(2), keep=finished.size)
    assert path.read_bytes() == whole + encode_result(result(2))


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("a letter\nof two lines\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"out\.jsonl:1: found a line that is no result; wanted one sglc run wrote"):
        read_finished(path)


def test_a_row_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_all(path, result(3), result(3))
    with pytest.raises(InputError, match=r"out\.jsonl:2: found row 3 a second time"):
        read_finished(path)


def test_a_line_is_with_the_operating_system_at_once(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    file = ResultsFile(path)
    file.write(result(0))
    assert path.read_bytes() == encode_result(result(0))
    file.close()


def test_a_line_is_synced_though_no_other_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_file, "SYNC_SECONDS", 0.01)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    file = ResultsFile(tmp_path / "out.jsonl")
    time.sleep(0.05)
    assert not synced
    file.write(result(0))
    deadline = time.monotonic() + 5
    while not synced and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(synced) == 1
    file.close()


def test_a_full_disk_leaves_the_earlier_lines_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.jsonl"
    file = ResultsFile(path)
    file.write(result(0))
    write, room = os.write, 10

    def write_little(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", write_little)
    with pytest.raises(InputError, match="found no space left on the device while writing row 1; wanted room"):
        file.write(result(1))
    file.close()
    assert path.read_bytes() == encode_result(result(0))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_full() -> None:
    file = ResultsFile(Path("/dev/full"))
    with pytest.raises(InputError, match="/dev/full: found no space left on the device while writing row 5"):
        file.write(result(5))
    file.close()


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found is a directory; wanted a file that can be written"):
        ResultsFile(tmp_path)


def test_a_file_belongs_to_one_run(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    file = ResultsFile(path)
    file.write(result(0))
    with pytest.raises(InputError, match="found another run that writes there; wanted a file of our own"):
        ResultsFile(path)
    file.close()
    assert read_finished(path).indices == {0}
    ResultsFile(path).close()


def test_a_stream_gets_each_line_at_once() -> None:
    stream = io.BytesIO()
    results = ResultsStream(stream)
    results.write(result(0))
    assert stream.getvalue() == encode_result(result(0))
    results.close()
    assert not stream.closed


def test_an_equal_note_is_accepted(tmp_path: Path) -> None:
    note = {"program": "f", "sampling": {"temperature": 0.5}, "outputs": None}
    write_note(tmp_path / "out.jsonl", note)
    check_note(tmp_path / "out.jsonl", note)
    assert note_path(tmp_path / "out.jsonl").name == "out.jsonl.meta"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl.meta"]


def test_another_note_is_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_note(path, {"program": "f", "sampling": {}})
    with pytest.raises(InputError, match=r'found results of another sampling \({}\); wanted {"seed": 1} to resume'):
        check_note(path, {"program": "f", "sampling": {"seed": 1}})
    note_path(path).unlink()
    with pytest.raises(InputError, match="found no readable note of the earlier run"):
        check_note(path, {"program": "f"})


def test_an_error_says_its_place() -> None:
    assert error_object(ProgramError("found a; wanted b", Location("p.py", 3))) == {
        "type": "ProgramError",
        "message": "found a; wanted b",
        "file": "p.py",
        "line": 3,
    }


def test_an_error_of_the_host_gets_the_line_of_the_program() -> None:
    def fail() -> None:
        int("x")

    with pytest.raises(ValueError) as caught:
        fail()
    described = error_object(caught.value, __file__)
    assert (described["type"], described["file"]) == ("ValueError", __file__)
    assert described["line"] == fail.__code__.co_firstlineno + 1
    assert error_object(ValueError("never raised"))["file"] is None
