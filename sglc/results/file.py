"""The file of results: one line a finished row, on disk within a second."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sglc.errors import InputError, Location
from sglc.results.line import decode_result, encode_result

SYNC_SECONDS = 1.0
"""A finished row is on disk, power cuts included, at most this long after it was written."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The rows an earlier run has finished, failed ones included; `size` is the bytes of their lines."""

    indices: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()
    size: int = 0


def read_finished(path: Path) -> Finished:
    """Return what an earlier run wrote to `path`, without a torn last line. Raises InputError for a foreign line."""
    indices: set[int] = set()
    failed: set[int] = set()
    size = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = Location(str(path), number)
            result = decode_result(line)
            if result is None:
                if not lines.read(1):
                    break  # torn by a crash: the row is run again
                raise InputError("found a line that is no result; wanted one sglc run wrote", place)
            index = result["index"]
            if index in indices:
                raise InputError(f"found row {index} a second time; wanted each row once", place)
            indices.add(index)
            if result.get("error") is not None:
                failed.add(index)
            size += len(line)
    return Finished(frozenset(indices), frozenset(failed), size)


class Results(Protocol):
    """Where results go."""

    def write(self, result: Mapping[str, Any]) -> None:
        """Add one result. Raises InputError when there is no room."""

    def close(self) -> None:
        """Bring every result to where it goes."""


class ResultsStream:
    """Results on a stream that somebody reads, each sent at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, result: Mapping[str, Any]) -> None:
        """Send one result. Raises InputError when there is no room."""
        try:
            self._stream.write(encode_result(result))
            self._stream.flush()
        except BrokenPipeError:
            raise  # the reader has seen enough, e.g. `head`
        except OSError as error:
            problem = f"found {reason(error)} while writing row {result['index']}"
            raise InputError(f"stdout: {problem}; wanted room for the results") from error

    def close(self) -> None:
        """Leave the stream open: it is the caller's."""


class ResultsFile:
    """An append-only file of results. Safe to write from one thread; a second one syncs it to disk.

    Every line goes to the operating system in `write`, so that nothing is lost with the process, and to the disk
    within `SYNC_SECONDS`. After an error no part of the line that failed is left where the file can be shortened.
    """

    def __init__(self, path: Path, keep: int = 0) -> None:
        """Open `path`, for this process alone, and cut it to its first `keep` bytes. Raises InputError."""
        self._name = str(path)
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._regular = stat.S_ISREG(os.fstat(self._fd).st_mode)
            if self._regular:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(self._fd, keep)
        except BlockingIOError as error:
            raise InputError(f"{path}: found another run that writes there; wanted a file of our own") from error
        except OSError as error:
            raise InputError(f"{path}: found {reason(error)}; wanted a file that can be written") from error
        self._size = keep
        self._dirty = False
        self._closing = threading.Event()
        self._sync_error: OSError | None = None
        self._syncer = threading.Thread(target=self._sync_often, name="sglc-results", daemon=True)
        if self._regular:
            self._syncer.start()

    def write(self, result: Mapping[str, Any]) -> None:
        """Append one result. Raises InputError when the disk takes no more; earlier lines stay whole."""
        if self._sync_error is not None:
            self._fail(self._sync_error, result)
        line = encode_result(result)
        try:
            _write_all(self._fd, line)
        except OSError as error:
            self._fail(error, result)
        self._size += len(line)
        self._dirty = True

    def close(self) -> None:
        """Bring every line to the disk and close the file. Raises InputError when the disk refuses."""
        self._closing.set()
        if self._syncer.is_alive():
            self._syncer.join()
        try:
            if self._regular:
                os.fsync(self._fd)
        except OSError as error:
            raise InputError(f"{self._name}: found {reason(error)}; wanted room for the results") from error
        finally:
            os.close(self._fd)

    def _fail(self, error: OSError, result: Mapping[str, Any]) -> None:
        """Take back a half-written line and raise."""
        if self._regular:
            os.ftruncate(self._fd, self._size)
        raise InputError(
            f"{self._name}: found {reason(error)} while writing row {result['index']}; wanted room for the results "
            "(the lines before are whole)"
        ) from error

    def _sync_often(self) -> None:
        """Sync the file each `SYNC_SECONDS` in which something was written."""
        while not self._closing.wait(SYNC_SECONDS):
            if self._dirty:
                self._dirty = False
                try:
                    os.fsync(self._fd)
                except OSError as error:
                    self._sync_error = error
                    return


def _write_all(fd: int, data: bytes) -> None:
    """Write every byte, or raise OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def reason(error: OSError) -> str:
    """Return why the operating system refused, in its words."""
    if error.errno == errno.ENOSPC:
        return "no space left on the device"
    return (error.strerror or str(error)).lower()
