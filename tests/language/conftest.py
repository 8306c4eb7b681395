"""An engine that costs nothing, as the default backend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import sglc
from tests.asking import assert_idle

PLANTS = ("yes", " END", "\n\n")


@pytest.fixture
def engine() -> Iterator[sglc.Engine]:
    """The replay model, audited between all steps; when a test is over nothing runs and no KV is locked."""
    with closing(sglc.Engine("replay:hash", plant=PLANTS, kv_tokens=8192, check=True)) as engine:
        sglc.set_default_backend(engine)
        yield engine
        sglc.set_default_backend(None)
    assert_idle(engine)


def line_of(file: str, marker: str) -> int:
    """Return the number of the only line of a file that ends with the comment `marker`."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    (number,) = [i for i, line in enumerate(lines, 1) if line.endswith(f"# {marker}")]
    return number


def assert_located(error: BaseException, file: str, marker: str) -> None:
    """Check that an error names the line of `file` that ends with the comment `marker`."""
    location = getattr(error, "location", None)
    assert location == (file, line_of(file, marker)), f"{error!r} at {location}"
