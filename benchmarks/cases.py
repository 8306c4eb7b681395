"""The program cases of tests/cases: one module a case, one test a clause, each run on every model."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from xml.etree import ElementTree

from benchmarks.environment import ROOT
from benchmarks.progress import say
from benchmarks.registry import Options, Result

FOLDER = "tests/cases"
QUICK = "tests/cases/test_case_01.py"


def run(options: Options) -> Result:
    """Run the tests and count."""
    started = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        words = ["-q", "-o", "addopts=", f"--junitxml={report}", QUICK if options.quick else FOLDER]
        done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
        say(done.stdout.strip().rpartition("\n")[2])
        if not report.exists():
            raise RuntimeError(f"found no report of pytest; wanted one. It said:\n{done.stdout}{done.stderr}")
        outcome = counted(ElementTree.parse(report).getroot())
    return Result(outcome | {"seconds": perf_counter() - started})


def counted(report: ElementTree.Element) -> dict[str, int | float]:
    """Return the figures of a JUnit report: cases are modules, clauses test functions, a run is a clause on a model."""
    runs = list(report.iter("testcase"))
    modules = {run.get("classname", "") for run in runs}
    clauses = {(run.get("classname", ""), run.get("name", "").partition("[")[0]) for run in runs}
    return {
        "cases": sum("test_case_" in module for module in modules),
        "clauses": len(clauses),
        "clause_runs": len(runs),
        "failed": sum(run.find("failure") is not None or run.find("error") is not None for run in runs),
        "skipped": sum(run.find("skipped") is not None for run in runs),
    }
