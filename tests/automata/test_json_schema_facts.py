"""JSON Schema against published test sets: nothing invalid is accepted, and most schemas are wholly right."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sglc.automata.automaton import Automaton
from sglc.automata.json_schema import compile_json_schema
from sglc.errors import ProgramError, Unsupported

FULL = bool(os.environ.get("SGLC_TEST_FULL"))


def rows(folder: Path, name: str, every: int) -> list[dict[str, Any]]:
    path = folder / "constrained" / name
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines][:: 1 if FULL else every]


def facts(row: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield JSON texts and whether each is valid."""
    for test in row.get("tests", []):
        for text in {json.dumps(test["data"]), json.dumps(test["data"], separators=(",", ":"))}:
            yield text, test["valid"]
    yield from ((text, True) for text in row.get("accept", []))
    yield from ((test["s"], False) for test in row.get("reject", []))


@pytest.mark.parametrize(
    ("name", "every", "share"),
    [
        ("jsonschema_maskbench.jsonl.gz", 60, 0.77),
        ("jsonschema_engines.jsonl", 6, 0.74),
        ("jsonschema_testsuite_draft2020-12.jsonl", 4, 0.5),
        ("jsonschema_testsuite_draft7.jsonl", 4, 0.5),
    ],
)
def test_published_schemas(
    test_data: Path, name: str, every: int, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    accepted_invalid = []
    for row in rows(test_data, name, every):
        schema = row["schema"]
        if "draft7" in name and isinstance(schema, dict):
            schema = {"$schema": "http://json-schema.org/draft-07/schema#", **schema}
        counts["schemas"] += 1
        try:
            language = compile_json_schema(json.dumps(schema))
        except (ProgramError, Unsupported):
            counts["refused"] += 1
            continue
        counts["tables" if isinstance(language, Automaton) else "llguidance"] += 1
        wrong = [(text, valid) for text, valid in facts(row) if language.accepts(text) != valid]
        counts["right"] += not wrong
        counts["valid rejected"] += sum(valid for _, valid in wrong)
        accepted_invalid += [(row["id"], text) for text, valid in wrong if not valid]
    with capsys.disabled():
        print(f"\n{name}: {dict(counts)}")
    assert not accepted_invalid
    assert counts["right"] >= share * counts["schemas"]
