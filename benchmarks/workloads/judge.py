"""A judge of essays: six forks of one state look at one side each, then a verdict on all they said.

The recording has the essays only. What is said is up to the model; the verdict reads what the forks said.
"""

from __future__ import annotations

import json
import random
from typing import Any

import sglc
from benchmarks import data
from benchmarks.workloads.synthetic import sentence
from sglc.language.state import ProgramState

INSTRUCTION = """You are an impartial judge of essays. Hold each of them to the highest standard, praise nothing that
does not deserve it, and give a reason for everything you say."""
SIDES = {
    "Content": "Is the substance well researched, accurate and to the point? Does the author understand the subject, "
    "and does the essay follow a clear aim?",
    "Structure": "Is there a logical sequence, a fitting introduction and conclusion, and do the paragraphs lead from "
    "one to the next without a gap?",
    "Argument": "Are the claims supported by reasons and by evidence that a reader can check? Are other views met "
    "fairly and answered?",
    "Clarity": "Can every sentence be understood at once? Are the words exact, the style fitting, and nothing said "
    "twice?",
    "Grammar": "Is the text free of mistakes in grammar, spelling and punctuation, and are sentences varied and well "
    "built?",
    "Sources": "Are facts and quotations credited to sources that can be trusted, correctly and wherever a reader "
    "would want them?",
}
STOP, MAX_TOKENS, SCORE_TOKENS = "END", 256, 2
_WORDS = 600


@sglc.function
def judge(s: ProgramState, essay: str, max_tokens: int = MAX_TOKENS) -> None:
    """Judge one essay: a paragraph a side, one that sums them up, and a score."""
    s += INSTRUCTION + "\n\nEssay:\n" + essay + "\n\n"
    forks = s.fork(len(SIDES))
    for fork, (side, question) in zip(forks, SIDES.items(), strict=True):
        fork += f"Look at one side of the essay and at nothing else. {side}: {question}\n"
        fork += f"Write one paragraph and close it with the word {STOP}.\nJudge:"
        fork += sglc.gen("judgement", max_tokens=max_tokens, stop=STOP)
    forks.join()
    s += "What the judges of the single sides said:\n"
    for fork, side in zip(forks, SIDES, strict=True):
        s += side + ": " + fork["judgement"].strip() + "\n"
    s += "All in all, in one sentence:"
    s += sglc.gen("summary", max_tokens=max_tokens, stop="\n")
    s += "\nOn a scale from 1 to 10, the essay gets the score"
    s += sglc.gen("score", max_tokens=SCORE_TOKENS)


def rows(limit: int | None = None) -> list[dict[str, Any]]:
    """Return the arguments of `judge`, an essay a row."""
    folder = data.folder()
    if folder is None:
        words = random.Random(5)
        return [{"essay": sentence(words, _WORDS)} for _ in range(limit or 25)]
    lines = (folder / "workloads" / "llm_judge_articles.jsonl").read_text(encoding="utf-8").splitlines()
    return [{"essay": json.loads(line)["article"]} for line in lines[:limit]]
