"""ReAct over HotpotQA: recorded steps of thought, action and observation, asked again one generation a step.

SGLang's shape: each step is generated in a fork of one that is thrown away, then the recorded step is appended as
ordinary text. So the next prompt is this one and that text, tokenized as one string.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import sglc
from benchmarks import data
from benchmarks.workloads.synthetic import sentence
from sglc.backend.tokenizer import Tokenizer
from sglc.language.state import ProgramState

STOP, MAX_TOKENS = "Observation", 200
INSTRUCTION = """Solve a question answering task with interleaving Thought, Action, Observation steps. Thought can
reason about the current situation, and Action can be three types:
(1) Search[entity], which searches the exact entity on Wikipedia and returns the first paragraph if it exists.
(2) Lookup[keyword], which returns the next sentence containing keyword in the current passage.
(3) Finish[answer], which returns the answer and finishes the task.
Here are some examples."""


@sglc.function
def react(s: ProgramState, opening: str, steps: list[str]) -> list[str]:
    """Ask for every step of one question again; return what was said. `steps` are whole, as the next one reads them."""
    said: list[str] = []
    s += opening
    for number, step in enumerate(steps, 1):
        s += f"Thought {number}:"
        branches = s.fork(1)
        branches[0] += sglc.gen("step", max_tokens=MAX_TOKENS, stop=STOP)
        branches.join()
        said += s["step"]  # wait, as SGLang's join does
        s += step
    return said


def rows(limit: int | None = None) -> list[dict[str, Any]]:
    """Return the arguments of `react`, question by question."""
    folder = data.folder()
    return _synthetic(limit or 100) if folder is None else _recorded(folder / "workloads")[:limit]


def expected(row: dict[str, Any], tokenizer: Tokenizer) -> list[str]:
    """Return what each step of a row says when the record is replayed."""
    return [text for _, _, text in _exchanges(row, tokenizer)]


def write_trace(given: list[dict[str, Any]], tokenizer: Tokenizer, path: Path) -> None:
    """Write the recording that `replay:PATH` reads: the ids of each prompt, and of what was said up to the stop."""
    with path.open("w", encoding="utf-8") as file:
        for row in given:
            for prompt, output, _ in _exchanges(row, tokenizer):
                file.write(json.dumps({"prompt": prompt, "output": output}) + "\n")


def _exchanges(row: dict[str, Any], tokenizer: Tokenizer) -> list[tuple[list[int], list[int], str]]:
    """Return (prompt, output, text before the stop) of each step."""
    found = []
    prompt = row["opening"]
    for number, step in enumerate(row["steps"], 1):
        prompt += f"Thought {number}:"
        output = tokenizer.encode(step.partition(f"{STOP} {number}:")[0] + STOP)[:MAX_TOKENS]
        ids = [*tokenizer.prefix, *tokenizer.encode(prompt, at_start=True)]
        found.append((ids, output, tokenizer.decode(output).partition(STOP)[0]))
        prompt += step
    return found


def _step(number: int, thought: str, action: str, observation: str) -> str:
    """Return a step as the next one reads it: what the model said, up to the stop, and what came of it."""
    return f" {thought}\nAction {number}: {action}\n{STOP} {number}: {observation}\n"


def _recorded(folder: Path) -> list[dict[str, Any]]:
    examples = json.loads((folder / "react_prompts.json").read_text(encoding="utf-8"))
    prefix = INSTRUCTION + examples["prompts_naive"]["webthink_simple6"]
    given = []
    for line in (folder / "react_hotpotqa_traces_100.jsonl").read_text(encoding="utf-8").splitlines():
        for question, steps in json.loads(line).items():
            written = [_step(number, **step) for number, step in enumerate(steps, 1)]
            given.append({"opening": f"{prefix}{question}\n", "steps": written})
    return given


def _synthetic(count: int) -> list[dict[str, Any]]:
    """Return questions of the recorded ones' shape: a long common prefix, two to five steps."""
    words = random.Random(1)
    prefix = INSTRUCTION + "\n" + sentence(words, 300) + "\n"
    return [
        {
            "opening": f"{prefix}Question: {sentence(words, 16)}?\n",
            "steps": [
                _step(number, sentence(words, 10), f"Search[{sentence(words, 2)}]", sentence(words, 40))
                for number in range(1, words.randint(3, 6))
            ],
        }
        for _ in range(count)
    ]
