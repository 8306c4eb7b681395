"""What a run says when it is over: for people on stderr, for programs as one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sglc.results.file import Finished

NAMED_FAILURES = 5
"""Failed rows that are shown one by one; the rest are counted."""


def say(message: str) -> None:
    """Write a line for the person at the terminal, to stderr."""
    sys.stderr.write(f"sglc: {message}\n")
    sys.stderr.flush()


@dataclass(slots=True)
class Tally:
    """The rows of one run. `total` is None where it is not known; `resumed` are the rows of the run before."""

    total: int | None
    resumed: Finished
    done: int = 0
    failed: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.failed = sorted(self.resumed.failed)

    def count(self, result: Mapping[str, Any]) -> None:
        """Count one result."""
        self.done += 1
        self.variables.update(result["variables"])
        error = result["error"]
        if error is None:
            return
        self.failed.append(result["index"])
        if len(self.messages) < NAMED_FAILURES:
            place = f"{error['file']}:{error['line']}: " if error["file"] else ""
            self.messages.append(f"row {result['index']}: {place}{error['type']}: {error['message']}")


def print_summary(
    tally: Tally, counters: Mapping[str, int | float], out: str, *, as_json: bool, interrupted: bool
) -> None:
    """Write the summary: sentences to stderr, with `as_json` one object to stdout unless results went there."""
    seconds = max(tally.seconds, 1e-9)
    rates = tally.done / seconds, counters["decoded"] / seconds
    earlier = len(tally.resumed.indices)
    for message in tally.messages:
        say(message)
    if tally.failed:
        shown = ", ".join(map(str, tally.failed[:20])) + (", …" if len(tally.failed) > 20 else "")
        say(f"{len(tally.failed)} of {_rows(tally.done + earlier)} failed: {shown}")
    if interrupted:
        again = "" if out == "-" else "; the same command with --resume goes on"
        say(f"interrupted after {_rows(tally.done + earlier)}{again}")
    else:
        before = f", {earlier} from an earlier run" if earlier else ""
        say(f"{_rows(tally.done)} in {tally.seconds:.1f} s ({rates[0]:,.1f} rows/s, {rates[1]:,.0f} tokens/s){before}")
    if as_json:
        summary = {
            "rows": tally.done,
            "resumed": earlier,
            "failed": len(tally.failed),
            "interrupted": interrupted,
            "seconds": tally.seconds,
            "rows_per_second": rates[0],
            "tokens_per_second": rates[1],
            "counters": dict(counters),
        }
        stream = sys.stderr if out == "-" else sys.stdout
        stream.write(json.dumps(summary) + "\n")
        stream.flush()


def _rows(count: int) -> str:
    """Return a count of rows as words."""
    return "1 row" if count == 1 else f"{count} rows"
