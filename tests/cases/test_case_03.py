"""Case 3: few-shot text that every row brings along as an argument."""

import sglc
from tests.cases.models import Models, distinct_positions

FEW_SHOT = "".join(f"{a} plus {b} is {a + b}.\n" for a in (2, 7) for b in (3, 5, 11))
SUMS = ["4 plus 4", "9 plus 1", "12 plus 30", "8 plus 6", "5 plus 70"]


@sglc.function
def add(s, few_shot, question):
    s += few_shot
    s += question + " is" + sglc.gen("sum", max_tokens=5, stop=["\n", "."])


def test_an_argument_equal_in_all_rows_is_computed_once(models: Models) -> None:
    """Prefix equality discovered from data, not code."""
    models.start_cold()
    rows = [{"few_shot": "".join(list(FEW_SHOT)), "question": question} for question in SUMS]  # equal, not identical
    states = models.run(add, rows)
    prompts = [f"{FEW_SHOT}{question} is" for question in SUMS]
    assert [state.text() for state in states] == [p + s["sum"] for p, s in zip(prompts, states, strict=True)]
    assert models.engine.counters.filled == distinct_positions(map(models.ids, prompts))
