"""What the cases found out about capturing: for each, how its programs were captured, and whether results differed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sglc.language.capture import Capture
from sglc.language.function import SglFunction

REPORT = "SGLC_CAPTURE_REPORT"
"""The environment variable that names the file to write, for `python -m benchmarks capture`."""


@dataclass
class Recorder:
    """Notes the captures of the programs that run, by the number of the case whose test runs."""

    case: int | None = None
    captures: dict[int, dict[str, Capture]] = field(default_factory=dict)
    runs: int = 0
    mismatches: int = 0

    def note(self, program: SglFunction, capture: Capture) -> None:
        """Note how a program was captured."""
        if self.case is not None:
            of_case = self.captures.setdefault(self.case, {})
            of_case[f"{program.name}:{capture.graph.text}"] = capture

    def compare(self, mine: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
        """Note whether a row came out as on the reference."""
        self.runs += 1
        self.mismatches += mine != reference

    def write(self) -> None:
        """Write the report, if one is asked for."""
        if REPORT in os.environ:
            cases = {
                case: [
                    {
                        "program": capture.name,
                        "tier": capture.tier,
                        "regions": [
                            {"cause": each.cause, "line": each.location.line if each.location else None}
                            for each in capture.breaks
                            if not each.is_error
                        ],
                        "errors": sum(each.is_error for each in capture.breaks),
                    }
                    for capture in captures.values()
                ]
                for case, captures in sorted(self.captures.items())
            }
            whole = {"cases": cases, "runs": self.runs, "mismatches": self.mismatches}
            Path(os.environ[REPORT]).write_text(json.dumps(whole))


RECORDER = Recorder()


def case_of(nodeid: str) -> int | None:
    """Return the number of the case that a test belongs to."""
    found = re.search(r"test_case_(\d+)", nodeid)
    return int(found[1]) if found else None
