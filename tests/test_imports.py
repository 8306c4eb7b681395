"""Starting is quick: `import sglc` and the help load nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

HEAVY = {"torch", "transformers", "numpy", "networkx", "tokenizers", "triton"}
QUICK_SECONDS = 0.3


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that are loaded once `code` has run in a fresh interpreter."""
    report = "\nimport json, sys\nprint('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def run_command_line(*arguments: str) -> str:
    """Return code that runs the command line and goes on afterwards."""
    return (
        f"import sys\nsys.argv = ['sglc', *{list(arguments)!r}]\n"
        "from sglc.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    )


def test_import_sglc_loads_nothing_heavy() -> None:
    assert not modules_after("import sglc") & HEAVY


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run", "--help")])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not modules_after(run_command_line(*arguments)) & (HEAVY | {"rich"})


def test_rows_and_results_load_no_torch() -> None:
    assert not modules_after("import sglc.rows, sglc.results.file, sglc.results.note") & HEAVY


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_is_quick(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sglc", option], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    with capsys.disabled():
        print(f"\nsglc {option}: best of 10 {min(seconds):.3f} s (bar {QUICK_SECONDS} s)")
    assert min(seconds) < QUICK_SECONDS
