"""Regexes met in engines' test suites and in the wild: every recorded fact about those that compile holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from sglc.automata.automaton import compile_regex
from sglc.errors import SglcError

READ_OTHERWISE = {
    r"(?:$\n)+",  # in Python `$` also holds before a last newline, so this one does match "\n"
    r"\b{end-half}",  # braces without a number are text in Python
}


def rows(name: str) -> list[dict[str, Any]]:
    folder = os.environ.get("SGLC_TEST_DATA")
    if folder is None:
        pytest.skip("SGLC_TEST_DATA is not set")
    text = (Path(folder) / "constrained" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


@pytest.mark.filterwarnings("ignore:Possible (nested )?set:FutureWarning")
@pytest.mark.parametrize("name", ["engines", "realworld", "rust", "re2"])
def test_recorded_facts_hold(name: str) -> None:
    compiled = regular = others = facts = 0
    wrong: list[tuple[str, str, object]] = []
    for row in rows(f"regex_{name}.jsonl"):
        pattern, accept, reject = row["pattern"], row["accept"], row["reject"]
        regular += row["regular"]
        try:
            automaton = compile_regex(pattern)
        except SglcError:
            continue
        compiled += row["regular"]
        others += not row["regular"]
        if pattern in READ_OTHERWISE:
            continue
        viable = [fact for fact in reject if "viable" in fact]
        facts += len(accept) + len(reject) + len(viable)
        wrong += [(pattern, text, True) for text in accept if not automaton.accepts(text)]
        wrong += [(pattern, fact["s"], False) for fact in reject if automaton.accepts(fact["s"])]
        wrong += [(pattern, f["s"], f["viable"]) for f in viable if automaton.viable(f["s"]) != f["viable"]]
        dead = row.get("byte_dead", [])
        wrong += [(pattern, text, byte) for text, byte in dead if automaton.viable(text + byte) != len(text)]
    print(f"{name}: {compiled} of {regular} regular patterns compile, and {others} others; {facts} facts")
    assert not wrong, f"{len(wrong)} disagreements, for example {wrong[:5]}"
    assert compiled >= 0.98 * regular


def test_invalid_patterns_are_refused_and_none_takes_long() -> None:
    accepted, unexplained = [], []
    for row in rows("regex_invalid.jsonl"):
        began = process_time()
        try:
            compile_regex(row["pattern"])
            accepted.append(row)
        except SglcError as error:
            unexplained += [] if "found" in str(error) else [row]
        assert process_time() - began < 5
    assert not unexplained
    assert all(row["kind"] == ["unsupported"] and row["python_re"] == "compiles" for row in accepted), accepted
