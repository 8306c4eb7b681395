"""Case 22: branches joined by appending their texts."""

import pytest

import sglc
from tests.cases.models import Models

PARTS = ["the head", "the body", "the tail"]


@sglc.function
def joined(s, subject):
    s += f"All about {subject}.\n"
    forks = s.fork(len(PARTS))
    forks += [f"On {part}:" + sglc.gen("part", max_tokens=3) + "\n" for part in PARTS]
    forks.join("concate_and_append")
    s += "In short:" + sglc.gen("short", max_tokens=4, temperature=0)
    return [fork["part"] for fork in forks]


@sglc.function
def by_hand(s, text):
    s += text + sglc.gen("short", max_tokens=4, temperature=0)


def test_texts_are_appended_in_order(models: Models) -> None:
    """Concat-join as plain text (reference semantics)."""
    state = models.run_one(joined, subject="fish")
    sections = "".join(f"On {part}:{said}\n" for part, said in zip(PARTS, state.ret_value, strict=True))
    before = f"All about fish.\n{sections}In short:"
    assert state.text() == before + state["short"]
    written = models.run_one(by_hand, text=before)
    assert written["short"] == state["short"]
    assert written.get_meta_info("short")["prompt_tokens"] == state.get_meta_info("short")["prompt_tokens"]


def test_another_mode_is_refused(models: Models) -> None:
    """Optional KV concatenation behind a flag: there is none, and no mode but the two is accepted."""

    @sglc.function
    def odd(s):
        s.fork(2).join("concatenate_kv")

    with pytest.raises(sglc.ProgramError, match="wanted one of gather_variable, concate_and_append"):
        models.run_one(odd)
