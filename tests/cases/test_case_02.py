"""Case 2: few-shot text that the program takes from a closure."""

from collections.abc import Callable

import sglc
from sglc.language.function import SglFunction
from tests.cases.models import Models, distinct_positions

EXAMPLES = ["great fun -> positive\n", "dull and long -> negative\n", "I laughed a lot -> positive\n"]
REVIEWS = ["a warm film", "no plot at all", "what a cast", "two hours lost"]


def classifier(examples: list[str]) -> tuple[SglFunction, Callable[[str], None]]:
    """Return a program over few-shot text of its surroundings, and a function that changes that text."""
    few_shot = "".join(examples)

    @sglc.function
    def classify(s, review):
        s += few_shot
        s += review + " ->" + sglc.gen("label", max_tokens=4, stop="\n")

    def replace(text: str) -> None:
        nonlocal few_shot
        few_shot = text

    return classify, replace


def test_the_prefix_of_a_closure_is_computed_once(models: Models) -> None:
    """Few-shot text coming from a closure variable, not an argument."""
    classify, _ = classifier(EXAMPLES)
    models.start_cold()
    states = models.run(classify, [(review,) for review in REVIEWS])
    prompts = ["".join(EXAMPLES) + review + " ->" for review in REVIEWS]
    assert [state.text() for state in states] == [p + s["label"] for p, s in zip(prompts, states, strict=True)]
    assert models.engine.counters.filled == distinct_positions(map(models.ids, prompts))


def test_each_run_sees_the_closure_as_it_is_then(models: Models) -> None:
    """A closure variable that changes between two runs."""
    classify, replace = classifier(EXAMPLES)
    before = models.run_one(classify, review="a warm film")
    replace("none -> negative\n")
    after = models.run_one(classify, review="a warm film")
    assert before.text().startswith("great fun")
    assert after.text() == "none -> negative\na warm film ->" + after["label"]
