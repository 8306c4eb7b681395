"""Case 1: a single few-shot completion, and a batch of it with a long constant prefix."""

import sglc
from tests.cases.models import Models, distinct_positions

FEW_SHOT = """Question: What is the capital of France?
Answer: Paris
Question: What is the capital of Japan?
Answer: Tokyo
"""
COUNTRIES = ["Italy", "Peru", "Kenya", "Norway", "Nepal", "Cuba", "Egypt", "Chad"]


@sglc.function
def capital(s, country):
    s += FEW_SHOT
    s += f"Question: What is the capital of {country}?\nAnswer:" + sglc.gen("answer", max_tokens=8, stop="\n")


def prompt(country: str) -> str:
    return f"{FEW_SHOT}Question: What is the capital of {country}?\nAnswer:"


def test_a_single_completion_follows_its_prompt(models: Models) -> None:
    """Single few-shot completion."""
    state = models.run_one(capital, country="Italy")
    assert state.text() == prompt("Italy") + state["answer"]
    assert "\n" not in state["answer"]
    assert state.finish() == {"answer": state.get_meta_info("answer")["finish_reason"]["type"]}
    assert state.get_meta_info("answer")["prompt_tokens"] == len(models.ids(prompt("Italy")))
    assert 1 <= state.get_meta_info("answer")["completion_tokens"] <= 8


def test_a_batch_computes_its_constant_prefix_once(models: Models) -> None:
    """Batch of it with a constant prefix of 64 characters or more."""
    assert len(FEW_SHOT) >= 64
    models.start_cold()
    states = models.run(capital, [{"country": country} for country in COUNTRIES])
    for state, country in zip(states, COUNTRIES, strict=True):
        assert state.text() == prompt(country) + state["answer"]
    assert models.engine.counters.filled == distinct_positions(models.ids(prompt(c)) for c in COUNTRIES)
