"""Forks: branches go on from a shared prompt by themselves, and come back in two ways."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import sglc
from sglc.errors import EngineError, ProgramError

State = Any


def run(body: Any, **given: Any) -> State:
    """Run a function of `s` as a program."""
    return sglc.function(body).run(**given)


def test_branches_share_what_was_said_and_nothing_else(engine: sglc.Engine) -> None:
    def body(s: State) -> list[str]:
        s += "shared" + sglc.gen("a", max_tokens=3)
        forks = s.fork(3)
        forks += lambda i: f"[{i}]" + sglc.gen("b", max_tokens=3)
        s += "own"
        return [fork.text() for fork in forks] + [fork["a"] for fork in forks]

    state = run(body)
    *texts, first, second, third = state.ret_value
    assert first == second == third == state["a"]
    for i, text in enumerate(texts):
        assert text.startswith(f"shared{state['a']}[{i}]")
    assert state.text() == f"shared{state['a']}own"
    assert "b" not in state


def test_a_shared_prompt_is_filled_once(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "a long prompt that all of the branches share, word by word, to its very end. "
        forks = s.fork(8)
        for i, fork in enumerate(forks):
            fork += f"{i}" + sglc.gen("x", max_tokens=2)
        forks.join()

    state = run(body)
    prompt = len(state.row.states[0].prompt.tokens)
    assert state.counters.filled < len(engine.tokenizer.encode(state.text())) + 2 + 8 * 2
    assert state.counters.cached > 7 * 10
    assert prompt == 0, "the parent generated nothing, and settles nothing"


def test_variables_are_gathered_in_branch_order(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x"
        s["kept"] = "before"
        forks = s.fork(4)
        for i, fork in enumerate(forks):
            fork += f"{i}" + sglc.gen("a", max_tokens=2 + i)
            fork["number"] = i
            if i % 2:
                fork["odd"] = i
        forks.join()

    state = run(body)
    assert state["number"] == [0, 1, 2, 3]
    assert state["odd"] == [1, 3]
    assert len(state["a"]) == 4
    assert state["kept"] == "before"
    assert state.text() == "x"


def test_texts_are_appended_in_branch_order(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x"
        forks = s.fork(3)
        forks += [f"<{i}>" + sglc.gen("a", max_tokens=3 - i) + ";" for i in range(3)]
        forks.join("concate_and_append")
        s += "end"

    state = run(body)
    pieces = state.text().removeprefix("x").removesuffix("end").split(";")[:-1]
    assert [piece[:3] for piece in pieces] == ["<0>", "<1>", "<2>"]
    assert "a" not in state


def test_several_forks_may_reuse_a_name(engine: sglc.Engine) -> None:
    def body(s: State) -> list[list[str]]:
        found = []
        for turn in range(2):
            forks = s.fork(2)
            forks += lambda i, turn=turn: f"{turn}{i}" + sglc.gen("a", max_tokens=2)
            forks.join()
            found.append(s["a"])
        return found

    state = run(body)
    assert [len(each) for each in state.ret_value] == [2, 2]
    assert state["a"] == state.ret_value[1]


def test_a_fork_in_a_fork(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        outer = s.fork(2)
        for i, branch in enumerate(outer):
            branch += f"{i}"
            inner = branch.fork(2)
            inner += sglc.gen("a", max_tokens=2, temperature=1.5, ignore_eos=True)
            inner.join()
        outer.join()

    state = run(body)
    assert [len(each) for each in state["a"]] == [2, 2]
    assert len({said for each in state["a"] for said in each}) > 2


def test_a_branch_draws_the_same_whatever_its_siblings_do(engine: sglc.Engine) -> None:
    def last_of(sizes: list[int]) -> str:
        def body(s: State) -> str:
            s += "x"
            forks = s.fork(len(sizes))
            for fork, size in zip(forks, sizes, strict=True):
                for _ in range(size):
                    fork += "y" + sglc.gen("a", max_tokens=5, temperature=2.0, ignore_eos=True)
            return str(forks[0]["a"])

        return str(run(body).ret_value)

    assert last_of([1]) == last_of([1, 3]) == last_of([1, 0, 7])


def test_a_copy_is_thrown_away_but_its_variables_stay(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        s += "x"
        with s.copy() as scratch:
            scratch += "scratch" + sglc.gen("a", max_tokens=3)
        s += "y"

    state = run(body)
    assert state.text() == "xy"
    assert len(state["a"]) == 1


def test_a_fork_of_nothing(engine: sglc.Engine) -> None:
    def body(s: State) -> None:
        forks = s.fork(0)
        forks.join()
        forks.join("concate_and_append")
        s += "x"

    assert run(body).text() == "x"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda s: s.fork(-1), r"found fork\(-1\)"),
        (lambda s: s.fork("two"), r"found fork\('two'\)"),
        (lambda s: s.fork(2).join("both"), r"found join\('both'\)"),
        (lambda s: s.fork(2).__iadd__(["one"]), "found 1 parts for 2 branches"),
        (lambda s: s.fork(2).__iadd__(3), "found 3 appended to a fork"),
        (lambda s: s.fork(2).__setitem__(0, s), "found another state assigned to branch 0"),
    ],
)
def test_misuse_is_refused_where_it_is_written(engine: sglc.Engine, wrong: Any, words: str) -> None:
    with pytest.raises(ProgramError, match=words) as caught:
        run(wrong)
    assert caught.value.location == (__file__, wrong.__code__.co_firstlineno)


def test_group_items_can_be_appended_to(engine: sglc.Engine) -> None:
    def body(s: State) -> list[str]:
        forks = s.fork(2)
        forks[0] += "a"
        forks[1] += "b"
        assert len(forks) == 2
        return [fork.text() for fork in forks]

    assert run(body).ret_value == ["a", "b"]


def test_forks_inside_a_message(engine: sglc.Engine) -> None:
    def body(s: State) -> list[str]:
        s += sglc.user("Q")
        with s.assistant():
            forks = s.fork(2)
            forks += lambda i: f"{i}: " + sglc.gen("a", max_tokens=3)
            forks.join()
            s += "best: " + s["a"][0]
        return [fork.text() for fork in forks]

    state = run(body)
    assert all(text.startswith("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n") for text in state.ret_value)
    assert state.messages()[-1] == {"role": "assistant", "content": f"best: {state['a'][0]}"}


def test_a_failing_branch_fails_the_row_with_its_line() -> None:
    def body(s: State) -> None:
        forks = s.fork(2)
        forks[0] += "fine" + sglc.gen("a", max_tokens=1)
        forks[1] += "word " * 100 + sglc.gen("a", max_tokens=1)
        forks.join()

    with sglc.Engine("replay:hash", kv_tokens=60) as small, pytest.raises(EngineError, match="60") as caught:
        run(body, backend=small)
    assert caught.value.location is not None
    assert caught.value.location.file == __file__


def test_five_hundred_branches_start_no_threads(engine: sglc.Engine) -> None:
    seen = []

    def body(s: State) -> None:
        s += "x"
        forks = s.fork(500)
        forks += lambda i: f"{i}" + sglc.gen("a", max_tokens=2)
        forks.join()
        s["a"]
        seen.append(threading.active_count())

    before = threading.active_count()
    assert len(run(body)["a"]) == 500
    assert seen[0] <= before + 1
