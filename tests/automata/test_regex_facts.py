"""Regexes met in engines' test suites and in the wild: every recorded fact about those that compile holds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sglc.automata.languages import check_regex
from sglc.errors import ProgramError, SglcError, Unsupported
from tests.automata.texts import accepts, regex, viable_length

READ_OTHERWISE = {r"(?:$\n)+"}  # in Python `$` also holds before a last newline, so this one does match "\n"


def rows(name: str) -> list[dict[str, Any]]:
    folder = os.environ.get("SGLC_TEST_DATA")
    if folder is None:
        pytest.skip("SGLC_TEST_DATA is not set")
    text = (Path(folder) / "constrained" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


@pytest.mark.filterwarnings("ignore:Possible (nested )?set:FutureWarning")
@pytest.mark.parametrize("name", ["engines", "realworld", "rust", "re2"])
def test_recorded_facts_hold(name: str) -> None:
    compiled = facts = refused_regular = 0
    wrong: list[tuple[str, str, object]] = []
    patterns = [row for row in rows(f"regex_{name}.jsonl") if row["checked"] == "source+re+regex"]
    patterns = [row for row in patterns if row["pattern"] not in READ_OTHERWISE]
    for row in patterns:
        pattern, accept, reject = row["pattern"], row["accept"], row["reject"]
        try:
            automaton = regex(pattern)
        except Unsupported:
            refused_regular += row["regular"]
            continue
        except ProgramError:
            empty = not accept and all(fact.get("viable", -1) == -1 for fact in reject)
            wrong += [] if empty else [(pattern, "", "empty")]
            continue
        compiled += 1
        viable = [fact for fact in reject if "viable" in fact]
        facts += len(accept) + len(reject) + len(viable)
        wrong += [(pattern, text, True) for text in accept if not accepts(automaton, text)]
        wrong += [(pattern, fact["s"], False) for fact in reject if accepts(automaton, fact["s"])]
        wrong += [(pattern, f["s"], f["viable"]) for f in viable if viable_length(automaton, f["s"]) != f["viable"]]
    print(f"{name}: {compiled} of {len(patterns)} compile ({refused_regular} regular ones refused), {facts} facts")
    assert not wrong, f"{len(wrong)} disagreements, for example {wrong[:5]}"
    assert compiled >= len(patterns) / 2


def test_invalid_and_unsupported_patterns_are_refused() -> None:
    accepted = []
    for row in rows("regex_invalid.jsonl"):
        try:
            check_regex(row["pattern"])
            accepted.append(row["pattern"])
        except SglcError:
            continue
    assert accepted == ["(?a)"]  # a flag that changes nothing here
