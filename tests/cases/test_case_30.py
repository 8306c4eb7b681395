"""Case 30: log-probabilities, and the CoT-decoding program that is built on them."""

import math
from itertools import pairwise
from typing import Any

import pytest

import sglc
from tests.cases.models import Models

PROMPT = "Question: how many moons has Mars?\nAnswer:"


@sglc.function
def answer(s, prompt, **logprobs):
    s += prompt + sglc.gen("x", max_tokens=5, temperature=0, ignore_eos=True, return_logprob=True, **logprobs)


def meta(models: Models, **logprobs: Any) -> dict[str, Any]:
    """Return the answer's meta info, equal to the reference's to rounding."""
    found = answer.run(prompt=PROMPT, backend=models.engine, **logprobs).get_meta_info("x")
    wanted = answer.run(prompt=PROMPT, backend=models.reference, **logprobs).get_meta_info("x")
    for name in ("input_token_logprobs", "output_token_logprobs"):
        assert [entry.token_id for entry in found[name]] == [entry.token_id for entry in wanted[name]]
        assert values(found[name]) == pytest.approx(values(wanted[name]), rel=1e-9)
    return found


def values(entries: list[Any]) -> list[float]:
    """Return the log-probabilities of entries, of which the first may have none."""
    return [entry.logprob for entry in entries if entry.logprob is not None]


def test_each_token_has_one(models: Models) -> None:
    """Logprobs per token: those of the output are what the same text scores as a prompt."""
    output = meta(models, return_text_in_logprobs=True)["output_token_logprobs"]
    assert len(output) == 5
    assert all(logprob <= 0 for logprob in values(output))
    tokenizer = models.engine.tokenizer
    assert [entry.text for entry in output] == [tokenizer.decode([entry.token_id]) for entry in output]

    start = len(models.ids(PROMPT))

    @sglc.function
    def again(s):
        s += PROMPT + sglc.gen("x", max_tokens=5, temperature=0, ignore_eos=True)
        s += sglc.gen("scored", max_tokens=0, return_logprob=True, logprob_start_len=start)

    scored = again.run().get_meta_info("scored")["input_token_logprobs"]
    assert [entry.token_id for entry in scored] == [entry.token_id for entry in output]
    assert values(scored) == pytest.approx(values(output), rel=1e-9)


def test_the_likeliest_tokens(models: Models) -> None:
    """Top-k."""
    found = meta(models, top_logprobs_num=6)
    for entry, top in zip(found["output_token_logprobs"], found["output_top_logprobs"], strict=True):
        assert len(top) == 6
        assert values(top) == sorted(values(top), reverse=True)
        assert entry.token_id == top[0].token_id  # greedy
        assert entry.logprob == pytest.approx(top[0].logprob, rel=1e-9)
        assert sum(map(math.exp, values(top))) <= 1 + 1e-9


def test_a_start_offset(models: Models) -> None:
    """Start offset."""
    ids = models.ids(PROMPT)
    whole = meta(models, logprob_start_len=0)["input_token_logprobs"]
    assert [entry.token_id for entry in whole] == ids
    assert whole[0].logprob is None
    for start in (1, 4, len(ids) - 1, len(ids)):
        part = meta(models, logprob_start_len=start)["input_token_logprobs"]
        assert [entry.token_id for entry in part] == ids[start:]
        assert values(part) == pytest.approx(values(whole[start:]), rel=1e-9)


def test_an_offset_behind_the_prompt_is_refused(models: Models) -> None:
    """A start offset past the prompt."""
    with pytest.raises(sglc.ProgramError, match="found logprob_start_len = 999; wanted at most"):
        answer.run(prompt=PROMPT, logprob_start_len=999)


@sglc.function
def cot_decoding(s, question):
    s += question + "\nA:"
    probe = s.fork(1)[0]
    probe += sglc.gen("first", max_tokens=0, return_logprob=True, top_logprobs_num=10, return_text_in_logprobs=True)
    top = probe.get_meta_info("first")["output_top_logprobs"][0]
    paths = s.fork(len(top))
    for path, entry in zip(paths, top, strict=True):
        path += entry.text
        path += sglc.gen("path", max_tokens=4, temperature=0, ignore_eos=True, return_logprob=True, top_logprobs_num=2)
    found = []
    for path, entry in zip(paths, top, strict=True):
        margins = [
            math.exp(a.logprob) - math.exp(b.logprob) for a, b in path.get_meta_info("path")["output_top_logprobs"]
        ]
        spans = path.fork(2)
        spans += [f"\nThe answer in path {entry.token_id} is" + sglc.gen("span", max_tokens=2), "\nNone."]
        found.append((entry.text, entry.logprob, path["path"], sum(margins) / len(margins), spans[0].text()))
    s += "\nBest:" + max(found, key=lambda row: row[3])[2]
    return (
        [(text, path, span) for text, _, path, _, span in found],
        [row[1] for row in found],
        [row[3] for row in found],
    )


def test_cot_decoding(models: Models) -> None:
    """CoT-decoding program (top-10 first tokens -> 10 forks -> second forks with branch-specific text)."""
    question = "Q: how many moons has Mars?"
    state = cot_decoding.run(question=question)
    paths, logprobs, margins = state.ret_value
    assert len(paths) == 10
    assert all(earlier >= later for earlier, later in pairwise(logprobs))
    assert all(0 <= margin <= 1 for margin in margins)
    for text, path, span in paths:
        assert span.startswith(f"{question}\nA:{text}{path}\nThe answer in path ")
    assert state.text() == f"{question}\nA:\nBest:{paths[margins.index(max(margins))][1]}"
    alone = cot_decoding.run(question=question, backend=models.reference).ret_value
    assert paths == alone[0]
    assert logprobs == pytest.approx(alone[1], rel=1e-9)
    assert margins == pytest.approx(alone[2], rel=1e-9)
