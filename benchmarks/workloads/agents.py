"""Generative agents: the calls of a small town, one short generation each, asked in the order they came.

The recording has arguments only. What is generated is up to the model, within each function's own few tokens.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sglc
from benchmarks import data
from benchmarks.workloads.synthetic import sentence
from sglc.language.state import ProgramState


@dataclass(frozen=True, slots=True)
class AgentFunction:
    """One of the town's questions: which argument fills which `!<INPUT k>!` of its template, and its limits."""

    inputs: tuple[str, ...]
    max_tokens: int
    stop: str | None = None
    ending: str = ""
    """Text between the template and the generation."""


FUNCTIONS = {
    "poignancy_event": AgentFunction(("persona_name", "persona_iss", "persona_name", "event"), 2),
    "generate_event_triple": AgentFunction(("persona_name", "action"), 20, stop=")", ending="\nOutput: (!<INPUT 0>!,"),
    "generate_pronunciatio": AgentFunction(("action",), 6),
    "action_location_sector": AgentFunction(
        (
            "persona_name",
            "living_sector",
            "living_sector_areas",
            "persona_name",
            "current_sector",
            "current_sector_areas",
            "daily_plan",
            "sector_options",
            "persona_name",
            "current_action",
            "next_action",
            "persona_name",
        ),
        10,
        stop="}",
        ending="\n!<INPUT 0>! should go to the following area: {",
    ),
    "action_location_object": AgentFunction(
        (
            "persona_name",
            "target_sector",
            "target_sector_areas",
            "persona_name",
            "target_sector",
            "target_sector_areas",
            "persona_name",
            "current_action",
            "next_action",
            "persona_name",
            "target_sector",
        ),
        5,
        stop="}",
    ),
}


@sglc.function
def agent_call(s: ProgramState, function: str, prompt: str) -> None:
    """Run one call of one of the town's functions."""
    called = FUNCTIONS[function]
    s += prompt
    s += sglc.gen("answer", max_tokens=called.max_tokens, stop=called.stop)


def rows(limit: int | None = None) -> list[dict[str, Any]]:
    """Return the arguments of `agent_call`, in the order of the calls."""
    folder = data.folder()
    templates, calls = _synthetic(limit or 2307) if folder is None else _recorded(folder / "workloads")
    return [
        {"function": name, "prompt": _filled(templates[name] + FUNCTIONS[name].ending, name, arguments)}
        for name, arguments in calls[:limit]
    ]


def _filled(template: str, function: str, arguments: dict[str, str]) -> str:
    """Return a template with every `!<INPUT k>!` replaced."""
    inputs = FUNCTIONS[function].inputs
    return re.sub(r"!<INPUT (\d+)>!", lambda match: arguments[inputs[int(match[1])]], template)


def _recorded(folder: Path) -> tuple[dict[str, str], list[tuple[str, dict[str, str]]]]:
    templates = json.loads((folder / "agent_prompt_templates.json").read_text(encoding="utf-8"))
    lines = (folder / "agent_calls.jsonl").read_text(encoding="utf-8").splitlines()
    return templates, [call for line in lines for call in json.loads(line).items()]


def _synthetic(count: int) -> tuple[dict[str, str], list[tuple[str, dict[str, str]]]]:
    """Return templates and calls of the recorded ones' shape: few people, many repeated actions."""
    words = random.Random(2)
    names = [sentence(words, 2) for _ in range(4)]
    actions = [sentence(words, 5) for _ in range(40)]
    profiles = {name: sentence(words, 80) for name in names}
    templates = {
        name: " ".join(f"{sentence(words, 8)} !<INPUT {k}>!." for k in range(len(called.inputs)))
        for name, called in FUNCTIONS.items()
    }
    calls = []
    for _ in range(count):
        name, person = words.choice([*FUNCTIONS]), words.choice(names)
        arguments = {key: words.choice(actions) for key in FUNCTIONS[name].inputs}
        calls.append((name, arguments | {"persona_name": person, "persona_iss": profiles[person]}))
    return templates, calls
