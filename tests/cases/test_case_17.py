"""Case 17: branches that differ in their sampling and in how much they generate."""

import sglc
from tests.cases.models import Models


def test_branches_with_their_own_sampling(models: Models) -> None:
    """Fork with different sampling params per branch."""
    sizes = [1, 4, 9]

    @sglc.function
    def spread(s):
        s += "Once upon a time"
        forks = s.fork(5)
        for fork, size in zip(forks, sizes, strict=False):
            fork += sglc.gen("greedy", temperature=0, max_tokens=size, ignore_eos=True)
        forks[3] += sglc.gen("digits", regex="[0-9]+", max_tokens=6)
        forks[4] += sglc.gen("wild", temperature=5.0, top_k=50, max_tokens=9, ignore_eos=True)
        counts = [fork.get_meta_info("greedy")["completion_tokens"] for fork in list(forks)[:3]]
        return counts, [fork["greedy"] for fork in list(forks)[:3]], forks[3]["digits"], forks[4]["wild"]

    counts, greedy, digits, wild = models.run_one(spread).ret_value
    assert counts == sizes
    assert greedy[2].startswith(greedy[1].rstrip("\ufffd"))
    assert greedy[1].startswith(greedy[0].rstrip("\ufffd"))
    assert digits.isdigit()
    assert wild != greedy[2]


def test_branches_with_different_numbers_of_generations(models: Models) -> None:
    """Fork where branches have different numbers of gens."""

    @sglc.function
    def uneven(s):
        s += "Notes:\n"
        forks = s.fork(4)
        for i, fork in enumerate(forks):
            for k in range(i):
                fork += f"{k}." + sglc.gen(f"note_{k}", max_tokens=3) + "\n"
        forks.join()
        return [fork.text() for fork in forks]

    state = models.run_one(uneven)
    assert state.ret_value[0] == "Notes:\n"
    assert [len(state[f"note_{k}"]) for k in range(3)] == [3, 2, 1]
    last = "".join(f"{k}.{state[f'note_{k}'][-1]}\n" for k in range(3))
    assert state.ret_value[3] == "Notes:\n" + last
