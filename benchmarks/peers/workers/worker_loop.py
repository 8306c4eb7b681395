"""What every worker does: read one object a line from stdin, answer each with one on stdout.

A worker is a script in its peer's own virtual environment, and imports nothing of sglc. It finds this file since Python
looks for modules beside the script that it runs. `protocol.py` describes the objects.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Asked = dict[str, Any]
Answer = dict[str, Any]


def serve(load: Callable[[Asked], tuple[Any, str]], generate: Callable[[Any, Asked], Answer]) -> None:
    """Serve until stdin ends.

    `load` returns what `generate` is given first, and the peer's version. All that a peer prints goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    engine: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["do"] == "load":
                engine, version = load(asked)
                answer = {"version": version}
            else:
                answer = generate(engine, asked)
        except Exception as error:  # whatever it is, the parent is to read it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def generations(asked: Asked) -> list[dict[str, Any]]:
    """Return the calls, for a worker that generates and does nothing more. Raises ValueError if more is asked."""
    calls: list[dict[str, Any]] = asked["calls"]
    if asked["logprobs"] or any(call["score_from"] is not None for call in calls):
        raise ValueError("found a call that wants log-probabilities; wanted generations alone")
    return calls


def generated(seconds: float, answers: Mapping[int, tuple[list[int], int]]) -> Answer:
    """Return the answer to generations: of each call the tokens drawn, and how many of its prompt were in the cache."""
    in_order = [answers[number] for number in range(len(answers))]
    return {
        "seconds": seconds,
        "outputs": [output for output, _ in in_order],
        "cached": [cached for _, cached in in_order],
        "logprobs": None,
        "scores": [None] * len(in_order),
    }


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all sequences share."""
    columns = enumerate(zip(*sequences, strict=False))
    return next((place for place, column in columns if len(set(column)) > 1), min(map(len, sequences)))
