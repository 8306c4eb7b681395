"""Case 16: fork, then join: what the parent and the branches know afterwards."""

import sglc
from tests.cases.models import Models

SIDES = ["for", "against", "undecided"]


@sglc.function
def debate(s, topic):
    s += f"On {topic}.\n"
    forks = s.fork(len(SIDES))
    for side, fork in zip(SIDES, forks, strict=True):
        fork += f"The case {side}:" + sglc.gen("argument", max_tokens=4) + "\n"
        fork += "In a word:" + sglc.gen("word", max_tokens=1)
    forks.join()
    s += "All words:" + ",".join(s["word"]) + sglc.gen("verdict", max_tokens=3)
    return [(fork["argument"], fork["word"]) for fork in forks]


def test_the_parent_reads_lists(models: Models) -> None:
    """Join(gather); reading parent lists."""
    state = models.run_one(debate, topic="tea")
    assert [len(state[name]) for name in ("argument", "word")] == [3, 3]
    assert len(set(state["argument"])) > 1
    assert state.text() == f"On tea.\nAll words:{','.join(state['word'])}{state['verdict']}"


def test_branch_values_stay_readable(models: Models) -> None:
    """Reading branch values."""
    state = models.run_one(debate, topic="tea")
    assert state.ret_value == list(zip(state["argument"], state["word"], strict=True))


def test_a_variable_of_the_parent(models: Models) -> None:
    """Variable that pre-existed in the parent: branches see it; it becomes a list only if they set it."""

    @sglc.function
    def inherit(s):
        s += "First:" + sglc.gen("kept", max_tokens=2) + sglc.gen("changed", max_tokens=2)
        kept, changed = s["kept"], s["changed"]
        forks = s.fork(2)
        seen = [(fork["kept"], fork["changed"]) for fork in forks]
        forks += "\nAgain:" + sglc.gen("changed", max_tokens=2)
        own = [fork["changed"] for fork in forks]
        forks.join()
        return kept, changed, seen, own

    state = models.run_one(inherit)
    kept, changed, seen, own = state.ret_value
    assert seen == [(kept, changed)] * 2
    assert state["kept"] == kept
    assert state["changed"] == own


def test_rounds_that_reuse_a_name(models: Models) -> None:
    """Several fork+join rounds re-using a name: each round's list replaces the one before."""

    @sglc.function
    def rounds(s):
        heard = []
        for i in range(3):
            s += f"Round {i}:"
            forks = s.fork(i + 1)
            forks += lambda k: f" voice {k} says" + sglc.gen("voice", max_tokens=3)
            forks.join()
            heard.append(s["voice"])
            s += ";".join(s["voice"]) + "\n"
        return heard

    state = models.run_one(rounds)
    assert [len(voices) for voices in state.ret_value] == [1, 2, 3]
    assert state["voice"] == state.ret_value[-1]
    assert state.text() == "".join(f"Round {i}:{';'.join(voices)}\n" for i, voices in enumerate(state.ret_value))
