"""Few-shot questions: worked examples that all rows share, then a question of grade-school mathematics each."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import sglc
from benchmarks import data
from benchmarks.workloads.synthetic import sentence
from sglc.language.state import ProgramState

EXAMPLES, STOP, MAX_TOKENS = 8, "\n\n", 256
SAMPLES = 16
INSTRUCTION = "Answer each question. Show every step, then the number.\n\n"


@sglc.function
def answer(s: ProgramState, examples: str, question: str, max_tokens: int = MAX_TOKENS) -> None:
    """Answer one question as the examples do."""
    s += INSTRUCTION + examples + "Question: " + question + "\nAnswer:"
    s += sglc.gen("answer", max_tokens=max_tokens, stop=STOP)


@sglc.function
def sample_answers(s: ProgramState, examples: str, question: str, max_tokens: int = MAX_TOKENS) -> None:
    """Answer one question so many times, as self-consistency does; each answer is as long as it may be."""
    s += INSTRUCTION + examples + "Question: " + question + "\nAnswer:"
    forks = s.fork(SAMPLES)
    for fork in forks:
        fork += sglc.gen("answer", max_tokens=max_tokens)
    forks.join()


def rows(limit: int | None = None) -> list[dict[str, Any]]:
    """Return the arguments of either program, a question a row; the examples are the same in all of them."""
    folder = data.folder()
    if folder is None:
        words = random.Random(7)
        examples = [{"question": sentence(words, 40), "answer": sentence(words, 40)} for _ in range(EXAMPLES)]
        questions = [sentence(words, 40) for _ in range(limit or 200)]
    else:
        examples = _read(folder / "workloads" / "gsm8k_train_fewshot64.jsonl")[:EXAMPLES]
        questions = [entry["question"] for entry in _read(folder / "workloads" / "gsm8k_test.jsonl")[:limit]]
    shown = "".join(f"Question: {entry['question']}\nAnswer: {entry['answer']}\n\n" for entry in examples)
    return [{"examples": shown, "question": question} for question in questions]


def _read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
