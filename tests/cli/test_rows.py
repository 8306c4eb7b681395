"""Rows are read one JSON object a line, and an unusable line is named with what it should have been."""

from __future__ import annotations

from pathlib import Path

import pytest

from sglc.errors import InputError
from sglc.rows import Signature, check_rows, parse_rows, read_rows

SIGNATURE = Signature(("word", "times"), frozenset({"word"}))


def problem_of(line: bytes, signature: Signature = SIGNATURE) -> str:
    """Return the error of the second of two lines, the first being blank."""
    (row,) = parse_rows([b"\n", line], "rows.jsonl", signature)
    assert row.fields == {}
    return str(row.error)


def test_rows_are_numbered_from_0_and_lines_from_1() -> None:
    lines = [b'{"word": "a"}\n', b"\n", b"  \n", b'{"word": "b", "times": 2}']
    rows = list(parse_rows(lines, "rows.jsonl", SIGNATURE))
    assert [(row.index, row.line, row.fields) for row in rows] == [
        (0, 1, {"word": "a"}),
        (1, 4, {"word": "b", "times": 2}),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"word": \n', "found malformed JSON at column 9 (Expecting value); wanted one JSON object a line"),
        (b"[1, 2]\n", "row 0: found an array; wanted a JSON object"),
        (b"null\n", "row 0: found null; wanted a JSON object"),
        (b"true\n", "row 0: found a boolean; wanted a JSON object"),
        (b"1.5\n", "row 0: found a number; wanted a JSON object"),
        (b'"a"\n', "row 0: found a string; wanted a JSON object"),
        (b'{"times": 2}\n', "row 0: found no field 'word'; wanted 'word', 'times'"),
        (b'{"word": "", "b": 1, "a": 1}\n', "row 0: found an unknown field 'a', 'b'; wanted 'word', 'times'"),
        (b'{"word": "\xff"}\n', "found byte 11 that is not UTF-8; wanted a row"),
        (b"[" * 100_000, "found JSON nested too deeply; wanted one JSON object a line"),
    ],
    ids=["malformed", "array", "null", "boolean", "number", "string", "missing", "extra", "not UTF-8", "deep"],
)
def test_an_unusable_line_is_named(line: bytes, message: str) -> None:
    assert problem_of(line) == f"rows.jsonl:2: {message}"


def test_a_program_without_arguments_takes_empty_rows() -> None:
    nothing = Signature((), frozenset())
    assert [row.fields for row in parse_rows([b"{}\n"], "rows.jsonl", nothing)] == [{}]
    assert problem_of(b'{"a": 1}', nothing).endswith("wanted an empty object")


def test_rows_after_an_unusable_line_are_read() -> None:
    rows = list(parse_rows([b"oops\n", b'{"word": "a"}\n'], "<stdin>", SIGNATURE))
    assert rows[0].error is not None
    assert rows[1].error is None
    assert rows[1].index == 1


def test_a_file_is_checked_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"word": "a"}\r\n{"word": "b"}\r\n')
    checked = check_rows(path, SIGNATURE)
    assert checked.count == 2
    assert [row.fields["word"] for row in read_rows(path, SIGNATURE)] == ["a", "b"]
    path.write_bytes(b'{"word": "a"}\n{"word": "b"}\n{}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:3: row 2: found no field 'word'"):
        check_rows(path, SIGNATURE)


def test_the_hash_tells_files_apart(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"word": "a"}\n')
    before = check_rows(path, SIGNATURE).sha256
    path.write_bytes(b'{"word": "b"}\n')
    assert check_rows(path, SIGNATURE).sha256 != before


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"found no readable file .*; wanted a file of rows"):
        check_rows(tmp_path / name, SIGNATURE)
