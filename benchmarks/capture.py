"""How much of the program cases is captured: which need the eager interpreter for a part, where, and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT
from benchmarks.progress import say
from benchmarks.registry import Options, Result

FOLDER = "tests/cases"
QUICK = "tests/cases/test_case_09.py"
REPORT = "SGLC_CAPTURE_REPORT"


def run(options: Options) -> Result:
    """Run the cases' tests, compiled against eager, and say what was captured."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "capture.json"
        words = ["-q", "-o", "addopts=", QUICK if options.quick else FOLDER]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, REPORT: str(report)},
        )
        say(done.stdout.strip().rpartition("\n")[2])
        if not report.exists():
            raise RuntimeError(f"found no report of pytest; wanted one. It said:\n{done.stdout}{done.stderr}")
        found = json.loads(report.read_text())
    for case, programs in found["cases"].items():
        say(f"case {case:>2}: {described(programs)}")
    cases: dict[str, list[Any]] = found["cases"]
    return Result(
        {
            "cases": len(cases),
            "captured": sum(not any(program["regions"] for program in programs) for programs in cases.values()),
            "programs": sum(map(len, cases.values())),
            "rows_compared": found["runs"],
            "mismatches": found["mismatches"],
            "tests_failed": int(done.returncode != 0),
        }
    )


def described(programs: list[dict[str, Any]]) -> str:
    """Return the tiers of a case's programs, and each eager region with its line and cause."""
    tiers = [program["tier"] for program in programs]
    counts = ", ".join(f"{tiers.count(tier)} {tier}" for tier in dict.fromkeys(tiers))
    regions = [
        f"{program['program']} line {region['line']}: {region['cause']}"
        for program in programs
        for region in program["regions"]
    ]
    return "; ".join([counts, *dict.fromkeys(regions)])
