"""Questions, each with a list of tools that may be called for it: many lists have tools in common."""

from __future__ import annotations

import gzip
import json
import random

from benchmarks import data
from benchmarks.workloads.synthetic import sentence


def rows(limit: int | None = None) -> list[list[str]]:
    """Return the sections of each row as they are written: the question, then each tool; every one ends a line.

    Recorded ones are those of BFCL's live_multiple: what system and user say, and each tool as JSON.
    """
    folder = data.folder()
    if folder is None:
        return _synthetic(limit or 1053)
    with gzip.open(folder / "workloads" / "bfcl_live_multiple.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [_sections(json.loads(line)) for line in lines][:limit]


def _sections(row: dict[str, list[object]]) -> list[str]:
    (turn,) = row["question"]
    assert isinstance(turn, list)
    question = "".join(f"{message['content']}\n" for message in turn)
    return [question, *(f"{json.dumps(tool, ensure_ascii=False)}\n" for tool in row["function"])]


def _synthetic(count: int) -> list[list[str]]:
    """Return rows of the recorded ones' shape: 2 to 6 of a thousand tools each, some tools in many lists."""
    source = random.Random(4)
    tools = [json.dumps({"name": sentence(source, 2), "description": sentence(source, 60)}) for _ in range(count)]
    groups = [source.sample(tools, source.randint(3, 8)) for _ in range(count // 5 + 1)]
    found = []
    for _ in range(count):
        group = source.choice(groups)
        picked = source.sample(group, source.randint(2, min(6, len(group))))
        found.append([f"{text}\n" for text in (sentence(source, 20), *picked)])
    return found
