"""Multiple choice behind examples: MMLU, where the answer is a letter, and HellaSwag, where it is a long ending."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sglc
from benchmarks import data
from benchmarks.workloads.synthetic import sentence
from sglc.backend.choices import ChoicesSamplingMethod
from sglc.language.function import SglFunction
from sglc.language.state import ProgramState

LETTERS = [" A", " B", " C", " D"]


@sglc.function
def mmlu(s: ProgramState, examples: str, question: str) -> None:
    """Answer a question behind examples of its subject."""
    s += examples + question
    s += sglc.select("answer", choices=LETTERS)


def mmlu_rows(subjects: int, questions: int, shots: int = 5) -> list[dict[str, Any]]:
    """Return the arguments of `mmlu`: subject by subject, each with its own examples."""
    rows = []
    for name, examples, asked in _mmlu(subjects, questions, shots):
        head = f"The following are multiple choice questions (with answers) about {name}.\n\n"
        shown = head + "".join(_question(each) + LETTERS["ABCD".index(each[5])] + "\n\n" for each in examples)
        rows += [{"examples": shown, "question": _question(each)} for each in asked]
    return rows


def hellaswag(examples: str, method: ChoicesSamplingMethod = sglc.token_length_normalized) -> SglFunction:
    """Return the program that chooses an ending behind examples."""

    @sglc.function
    def end(s: ProgramState, context: str, endings: Sequence[str]) -> None:
        s += examples
        s += context
        s += sglc.select("ending", choices=endings, choices_method=method)

    return end


def hellaswag_rows(count: int, shots: int) -> tuple[str, list[dict[str, Any]]]:
    """Return the examples, and the arguments of the program of `hellaswag`."""
    lines = _hellaswag(count + shots)
    examples = "".join(context + endings[label] + "\n\n" for context, endings, label in lines[:shots])
    return examples, [{"context": context, "endings": endings} for context, endings, _ in lines[shots:]]


def _question(record: Sequence[str]) -> str:
    return (
        record[0]
        + "".join(f"\n{letter}. {text}" for letter, text in zip("ABCD", record[1:5], strict=True))
        + "\nAnswer:"
    )


def _mmlu(subjects: int, questions: int, shots: int) -> list[tuple[str, list[list[str]], list[list[str]]]]:
    """Return the name, examples and questions of subjects; records of question, four answers and the right letter."""
    folder = data.folder()
    if folder is None:
        words = random.Random(6)

        def records(count: int) -> list[list[str]]:
            return [[*(sentence(words, size) for size in (20, 3, 4, 5, 6)), words.choice("ABCD")] for _ in range(count)]

        return [(sentence(words, 2), records(shots), records(questions)) for _ in range(subjects)]
    files = sorted((folder / "workloads" / "mmlu").glob("*_dev.csv"))[:subjects]
    return [
        (file.stem.removesuffix("_dev").replace("_", " "), _csv(file)[:shots], _csv(_test_of(file))[:questions])
        for file in files
    ]


def _test_of(file: Path) -> Path:
    return file.with_name(file.name.replace("_dev.csv", "_test.csv"))


def _csv(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return [*csv.reader(lines)]


def _hellaswag(count: int) -> list[tuple[str, list[str], int]]:
    """Return contexts, each with its endings and which of them is right."""
    folder = data.folder()
    if folder is None:
        words = random.Random(7)
        return [
            (
                f"{sentence(words, 2)}: {sentence(words, 25)} ",
                [sentence(words, 12) for _ in range(4)],
                words.randrange(4),
            )
            for _ in range(count)
        ]
    lines = (folder / "workloads" / "hellaswag_val_1020.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    entries = [json.loads(line) for line in lines]
    return [(f"{each['activity_label']}: {each['ctx']} ", each["endings"], each["label"]) for each in entries]
