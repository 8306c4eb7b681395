"""The rows a program runs over: one JSON object a line, each checked against the program's arguments."""

from __future__ import annotations

import hashlib
import json
import os
import select
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sglc.errors import InputError, Location


@dataclass(frozen=True, slots=True)
class Signature:
    """The fields a row may have (`names`, in order) and the ones it must have (`required`)."""

    names: tuple[str, ...]
    required: frozenset[str]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number among the rows (from 0), its line in the file (from 1) and its fields.

    `error` is set, and `fields` is empty, where the line is no usable row.
    """

    index: int
    line: int
    fields: dict[str, Any] = field(default_factory=dict)
    error: InputError | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What one look at a whole file of rows says: how many there are, and the SHA-256 of its bytes."""

    count: int
    sha256: str


class Lines:
    """The lines of a file descriptor, with whether one is there without waiting: a pipe may be slow."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""
        self._ended = False

    def ready(self) -> bool:
        """Whether the next line, or the end, can be had without waiting for its first byte."""
        return self._ended or b"\n" in self._buffer or bool(select.select([self._descriptor], [], [], 0)[0])

    def __iter__(self) -> Iterator[bytes]:
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                yield line + newline
            elif self._ended:
                if line:
                    self._buffer = b""
                    yield line
                return
            else:
                block = os.read(self._descriptor, 1 << 16)
                self._buffer += block
                self._ended = not block


def check_rows(path: Path, signature: Signature) -> Checked:
    """Read the whole file and return its count and hash. Raises InputError for the first line that is no usable row."""
    digest = hashlib.sha256()
    count = 0
    try:
        with path.open("rb") as lines:
            for row in parse_rows(_hashed(lines, digest), str(path), signature):
                if row.error is not None:
                    raise row.error
                count += 1
    except OSError as error:
        raise InputError(f"{path}: found no readable file ({error.strerror}); wanted a file of rows") from error
    return Checked(count, digest.hexdigest())


def read_rows(path: Path, signature: Signature) -> Iterator[Row]:
    """Yield the rows of a file lazily. Raises InputError for a line that is no usable row."""
    with path.open("rb") as lines:
        for row in parse_rows(lines, str(path), signature):
            if row.error is not None:
                raise row.error
            yield row


def parse_rows(lines: Iterable[bytes], name: str, signature: Signature) -> Iterator[Row]:
    """Yield a Row for each line that is not blank, with its error where it is unusable. `name` is for messages."""
    index = 0
    for number, line in enumerate(lines, start=1):
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        try:
            yield Row(index, number, _parse(line, Location(name, number), index, signature))
        except InputError as error:
            yield Row(index, number, error=error)
        index += 1


def _parse(line: bytes, location: Location, index: int, signature: Signature) -> dict[str, Any]:
    """Return the fields of one line. Raises InputError."""
    try:
        row = json.loads(line.decode("utf-8").rstrip())
    except UnicodeDecodeError as error:
        raise InputError(f"found byte {error.start + 1} that is not UTF-8; wanted a row", location) from None
    except json.JSONDecodeError as error:
        problem = f"found malformed JSON at column {error.colno} ({error.msg})"
        raise InputError(f"{problem}; wanted one JSON object a line", location) from None
    except RecursionError:
        raise InputError("found JSON nested too deeply; wanted one JSON object a line", location) from None
    if not isinstance(row, dict):
        raise InputError(f"row {index}: found {_kind(row)}; wanted a JSON object", location)
    if missing := signature.required.difference(row):
        raise InputError(f"row {index}: found no field {_listed(missing)}; wanted {_listed(signature.names)}", location)
    if extra := set(row).difference(signature.names):
        wanted = _listed(signature.names) if signature.names else "an empty object"
        raise InputError(f"row {index}: found an unknown field {_listed(extra)}; wanted {wanted}", location)
    return row


def _hashed(lines: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """Yield the lines, each added to the digest on its way."""
    for line in lines:
        digest.update(line)
        yield line


def _listed(names: Collection[str]) -> str:
    """Return names as a reader lists them; a set is sorted so that messages repeat themselves."""
    ordered = names if isinstance(names, tuple) else sorted(names)
    return ", ".join(repr(name) for name in ordered)


def _kind(value: object) -> str:
    """Return what JSON calls a value that is not an object."""
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")
