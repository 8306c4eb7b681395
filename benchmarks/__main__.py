"""`python -m benchmarks NAME [--json] [--quick]`: run one benchmark and print its figures; without NAME, list them."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.environment import environment
from benchmarks.registry import BENCHMARKS, Options, find


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names and return the exit code."""
    given = _parser().parse_args(arguments)
    if given.name is None:
        width = max(map(len, BENCHMARKS))
        for name, sentence in BENCHMARKS.items():
            print(f"{name:<{width}}  {sentence}")
        return 0
    result = find(given.name)(Options(given.quick, given.runs, given.install_peers))
    where = environment() | {"quick": given.quick} | dict(result.notes)
    if given.json:
        print(json.dumps({"benchmark": given.name, "figures": result.figures, "environment": where}))
        return 0
    print(given.name)
    _print_table(dict(result.figures))
    print("measured on")
    _print_table(where)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run one benchmark, or list them.")
    parser.add_argument("name", nargs="?", choices=list(BENCHMARKS), metavar="NAME", help="which one; none lists them")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="a small version, for the meaning and not the speed")
    parser.add_argument("--runs", type=_count, help="how often to repeat what is timed")
    parser.add_argument("--install-peers", action="store_true", help="install the engines it compares with, if missing")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"found {number}; wanted at least 1")
    return number


def _print_table(entries: dict[str, object]) -> None:
    width = max(map(len, entries))
    for name, value in entries.items():
        print(f"  {name:<{width}}  {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if 0.001 <= abs(value) < 1e9 or not value else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
