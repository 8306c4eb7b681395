"""Tree of thought on the game of 24: a recorded search, breadth first, asked again question by question.

At every node the model proposes next steps, then every step proposed is valued, and the best five are gone on from.
What is asked next follows the record, not what is said. The record has proposals and values; of the texts in which
the values were given it has none, so a value's answer is one word.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import sglc
from benchmarks import data
from sglc.backend.tokenizer import Tokenizer
from sglc.language.state import ProgramState

PROPOSE = """Use some of the numbers and one of + - * / to make a next step, and write down the numbers left.

Input: 3 5 6 9
Possible next steps:
3 + 5 = 8 (left: 6 8 9)
9 - 3 = 6 (left: 5 6 6)
5 * 6 = 30 (left: 3 9 30)
6 / 3 = 2 (left: 2 5 9)
9 / 3 = 3 (left: 3 5 6)
6 - 5 = 1 (left: 1 3 9)
3 * 9 = 27 (left: 5 6 27)
9 - 6 = 3 (left: 3 3 5)

Input: 4 7 12
Possible next steps:
4 + 7 = 11 (left: 11 12)
7 - 4 = 3 (left: 3 12)
12 / 4 = 3 (left: 3 7)
4 * 7 = 28 (left: 12 28)
12 - 7 = 5 (left: 4 5)
12 + 7 = 19 (left: 4 19)

Input: 2 12
Possible next steps:
2 + 12 = 14 (left: 14)
12 - 2 = 10 (left: 10)
2 * 12 = 24 (left: 24)
12 / 2 = 6 (left: 6)

"""
ANSWER = """Use each of the four numbers once, and + - * / to reach 24. Write the steps, then the whole expression.

Input: 1 2 4 6
Steps:
2 - 1 = 1 (left: 1 4 6)
4 * 6 = 24 (left: 1 24)
1 * 24 = 24 (left: 24)
Answer: (2 - 1) * (4 * 6) = 24

Input: 4 4 6 8
Steps:
4 + 8 = 12 (left: 4 6 12)
6 - 4 = 2 (left: 2 12)
2 * 12 = 24 (left: 24)
Answer: (6 - 4) * (4 + 8) = 24

Input: 2 9 10 12
Steps:
12 * 2 = 24 (left: 9 10 24)
10 - 9 = 1 (left: 1 24)
24 * 1 = 24 (left: 24)
Answer: (12 * 2) * (10 - 9) = 24

"""
VALUE = """Say whether the numbers can reach 24 with + - * /, each of them used once: sure, likely or impossible.

Input: 10 14
Judge: sure

Input: 11 12
Judge: impossible

Input: 4 4 10
Judge: sure

Input: 4 9 11
Judge: sure

Input: 5 7 8
Judge: likely

Input: 5 6 6
Judge: likely

Input: 10 10 11
Judge: impossible

Input: 1 3 3
Judge: impossible

Input: 24
Judge: sure

"""
VALUE_ANSWER = """Say whether an answer uses every number of the input once and reaches 24: sure or impossible.

Input: 4 4 6 8
Answer: (4 + 8) * (6 - 4) = 24
Judge: sure

Input: 2 9 10 12
Answer: 2 * 12 * (10 - 9) = 24
Judge: sure

Input: 4 9 10 13
Answer: (13 - 4) * (10 - 9) = 24
Judge: impossible

Input: 1 4 8 8
Answer: (8 / 1 - 4) * 8 = 24
Judge: impossible

"""
STEPS_STOP, STEPS_TOKENS = "\n\n", 256
VALUE_STOP, VALUE_TOKENS = "\n", 8
BREADTH, _STEPS = 5, 4
_SURE, _LIKELY = 20.0, 1.0  # what a word counted in the record's sums of three


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, and what the record answers."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Level:
    """A step of the search: what is asked at its nodes, then about all that was proposed there."""

    proposals: list[Question]
    values: list[Question]


@sglc.function
def search(
    s: ProgramState, levels: list[Level], steps_tokens: int = STEPS_TOKENS, value_tokens: int = VALUE_TOKENS
) -> list[str]:
    """Ask for every step of one puzzle again, level by level; return what was said."""
    said: list[str] = []
    for level in levels:
        proposers = s.fork(len(level.proposals))
        for proposer, question in zip(proposers, level.proposals, strict=True):
            proposer += question.prompt + sglc.gen("steps", max_tokens=steps_tokens, stop=STEPS_STOP)
        proposers.join()
        said += [proposer["steps"] for proposer in proposers]  # wait: only then is it known what to value
        judges = s.fork(len(level.values))
        for judge, question in zip(judges, level.values, strict=True):
            judge += question.prompt + sglc.gen("value", max_tokens=value_tokens, stop=VALUE_STOP)
        judges.join()
        said += [judge["value"] for judge in judges]
    return said


@sglc.function
def ask(s: ProgramState, kind: str, prompt: str) -> None:
    """Ask one question of a search, for rows that may be run in any order."""
    s += prompt
    if kind == "steps":
        s += sglc.gen("answer", max_tokens=STEPS_TOKENS, stop=STEPS_STOP)
    else:
        s += sglc.gen("answer", max_tokens=VALUE_TOKENS, stop=VALUE_STOP)


def rows(limit: int | None = None) -> list[dict[str, Any]]:
    """Return the arguments of `search`, a puzzle a row. Puzzles have trees of their own shape."""
    folder = data.folder()
    log = _synthetic(limit or 100) if folder is None else _recorded(folder / "workloads")[:limit]
    answers: dict[str, str] = {}
    return [{"levels": [_level(step, answers) for step in puzzle["steps"]]} for puzzle in log]


def questions(given: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the arguments of `ask` for all that some rows of `search` ask, in the order in which they ask it."""
    return [{"kind": kind, "prompt": question.prompt} for row in given for kind, question in _asked(row)]


def expected(row: dict[str, Any], tokenizer: Tokenizer) -> list[str]:
    """Return what a row of `search` says when the record is replayed."""
    return [_output(kind, question, tokenizer)[1] for kind, question in _asked(row)]


def write_trace(given: Iterable[dict[str, Any]], tokenizer: Tokenizer, path: Path) -> None:
    """Write the recording that `replay:PATH` reads, each prompt once."""
    different = {question.prompt: (kind, question) for row in given for kind, question in _asked(row)}
    with path.open("w", encoding="utf-8") as file:
        for prompt, (kind, question) in different.items():
            ids = [*tokenizer.prefix, *tokenizer.encode(prompt, at_start=True)]
            file.write(json.dumps({"prompt": ids, "output": _output(kind, question, tokenizer)[0]}) + "\n")


def _asked(row: dict[str, Any]) -> list[tuple[str, Question]]:
    """Return (kind, question) of all that a row asks, in its order."""
    found: list[tuple[str, Question]] = []
    for level in row["levels"]:
        found += [("steps", question) for question in level.proposals]
        found += [("value", question) for question in level.values]
    return found


def _output(kind: str, question: Question, tokenizer: Tokenizer) -> tuple[list[int], str]:
    """Return the ids that answer a question, and their text before the stop."""
    stop, limit = (STEPS_STOP, STEPS_TOKENS) if kind == "steps" else (VALUE_STOP, VALUE_TOKENS)
    ids = tokenizer.encode(question.answer + stop)[:limit]
    return ids, tokenizer.decode(ids).partition(stop)[0]


def _level(step: dict[str, Any], answers: dict[str, str]) -> Level:
    """Return the questions of a recorded step; to the same question, the answer is the first one recorded."""
    puzzle = step["x"]
    proposals = []
    for node in step["ys"]:
        lines = [new.removeprefix(node).strip("\n") for new in step["new_ys"] if new.startswith(node)]
        proposals.append(_question(_propose(puzzle, node), "\n".join(lines), answers))
    valued = dict(zip(step["new_ys"], step["values"], strict=True))  # one proposed twice is valued once
    values = [_question(_value(puzzle, new), " " + _word(value), answers) for new, value in valued.items()]
    return Level(proposals, values)


def _question(prompt: str, answer: str, answers: dict[str, str]) -> Question:
    return Question(prompt, answers.setdefault(prompt, answer))


def _propose(puzzle: str, node: str) -> str:
    left = _left(node) if node else puzzle
    if left == "24":
        return f"{ANSWER}Input: {puzzle}\nSteps:\n{node}"
    return f"{PROPOSE}Input: {left}\nPossible next steps:\n"


def _value(puzzle: str, node: str) -> str:
    last = node.strip("\n").rpartition("\n")[2]
    if "left: " in last:
        return f"{VALUE}Input: {_left(node)}\nJudge:"
    return f"{VALUE_ANSWER}Input: {puzzle}\nAnswer: {last.removeprefix('Answer: ')}\nJudge:"


def _left(node: str) -> str:
    """Return the numbers that a node's last step leaves."""
    return node.strip("\n").rpartition("\n")[2].rpartition("left: ")[2].partition(")")[0]


def _word(value: float) -> str:
    """Return the word that was said most often, of the three that a recorded sum stands for."""
    sure, rest = divmod(value, _SURE)
    likely = int(rest // _LIKELY)
    counts = {"sure": int(sure), "likely": likely, "impossible": 3 - int(sure) - likely}
    return max(counts, key=lambda word: counts[word])


def _recorded(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / "tot_game24_gpt4_log.json.gz", "rt", encoding="utf-8") as file:
        log: list[dict[str, Any]] = json.load(file)
    return log


def _synthetic(count: int) -> list[dict[str, Any]]:
    """Return searches of the recorded ones' shape: sums and differences of two numbers, valued at random."""
    source = random.Random(6)
    puzzles = []
    for _ in range(count):
        numbers = " ".join(str(source.randint(1, 13)) for _ in range(_STEPS))
        steps: list[dict[str, Any]] = []
        nodes = [""]
        for _ in range(_STEPS):
            found = [node + line for node in nodes for line in _lines(_left(node) if node else numbers)]
            values = [source.choice([0.003, 1.002, 3.0, 60.0]) for _ in found]
            steps.append({"x": numbers, "ys": nodes, "new_ys": found, "values": values})
            best = sorted(range(len(found)), key=lambda place: -values[place])
            nodes = [found[place] for place in best[:BREADTH]]
        puzzles.append({"steps": steps})
    return puzzles


def _lines(left: str) -> list[str]:
    """Return the steps that can be proposed for some numbers; none for one alone."""
    numbers = [int(number) for number in left.split()]
    lines = []
    for first, second in pairwise(numbers):
        for sign, result in (("+", first + second), ("-", first - second)):
            rest = list(numbers)
            rest.remove(first)
            rest.remove(second)
            lines.append(f"{first} {sign} {second} = {result} (left: {' '.join(map(str, [*rest, result]))})\n")
    return lines
