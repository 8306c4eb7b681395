"""Case 29: several samples of one generation."""

import sglc
from tests.cases.models import Models


@sglc.function
def sample(s, count=None, after=False):
    s += "A name:" + sglc.gen("name", n=count, max_tokens=4)
    if after:
        s += "\nIts meaning:" + sglc.gen("meaning", max_tokens=3)


def test_a_variable_is_a_list(models: Models) -> None:
    """n>1 in a gen."""
    several = models.run_one(sample, {"temperature": 2.0}, count=4)
    assert len(several["name"]) == 4
    assert len(set(several["name"])) > 1
    assert len(several.get_meta_info("name")["samples"]) == 4
    one = models.run_one(sample, {"temperature": 2.0}, count=1)
    assert one["name"] == several["name"][0]


def test_the_prompt_goes_on_with_the_first(models: Models) -> None:
    """n>1 followed by more text."""
    state = models.run_one(sample, {"temperature": 2.0}, count=3, after=True)
    assert state.text() == f"A name:{state['name'][0]}\nIts meaning:{state['meaning']}"
    assert isinstance(state["meaning"], str)
    one = models.run_one(sample, {"temperature": 2.0}, count=1, after=True)
    assert one.text() == state.text()


def test_n_for_a_whole_run(models: Models) -> None:
    """run(n=...): every generation that does not set its own."""
    state = models.run_one(sample, {"n": 2, "temperature": 2.0}, after=True)
    assert [len(state["name"]), len(state["meaning"])] == [2, 2]
    state = models.run_one(sample, {"n": 2, "temperature": 2.0}, count=1)
    assert isinstance(state["name"], str)


def test_the_prompt_is_computed_once(models: Models) -> None:
    """n samples share their prompt."""
    models.start_cold()
    sample.run(count=5, temperature=2.0)
    assert models.engine.counters.filled == len(models.ids("A name:"))
