"""The trace that runs on this thread, if one does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.language.tracing.path import Path


class _Local(threading.local):
    path: Path | None = None


_local = _Local()


def active() -> Path | None:
    """Return the run that is traced on this thread, or None: other threads, see nothing of it."""
    return _local.path


@contextmanager
def tracing(path: Path) -> Iterator[None]:
    """Let `active()` return `path` within."""
    before, _local.path = _local.path, path
    try:
        yield
    finally:
        _local.path = before
