"""Case 7: selects, each checked against scorings of the whole texts and against the choice methods' definitions."""

import math

import pytest

import sglc
from sglc.backend.choices import ChoicesSamplingMethod
from tests.cases.models import Models

METHODS = [
    sglc.token_length_normalized,
    sglc.greedy_token_selection,
    sglc.unconditional_likelihood_normalized,
]


@sglc.function
def choose(s, context, choices, method=sglc.token_length_normalized):
    s += context + sglc.select("choice", choices=choices, choices_method=method)
    s += "; so it is."


@sglc.function
def score(s, text, start):
    s += text + sglc.gen("scored", max_tokens=0, return_logprob=True, logprob_start_len=start)


def logprobs(models: Models, context: str, choice: str) -> list[float]:
    """Return the log-probabilities of the tokens of `context + choice` that are not wholly inside the context."""
    tokenizer = models.engine.tokenizer
    _, ends = tokenizer.encode_with_ends(context + choice, at_start=True)
    first = next(i for i, end in enumerate(ends) if end > len(context))
    start = len(tokenizer.prefix) + first
    meta = score.run(text=context + choice, start=start, backend=models.reference).get_meta_info("scored")
    return [entry.logprob for entry in meta["input_token_logprobs"]]


def expect_argmax(models: Models, context: str, choices: list[str]) -> str:
    """Check that the likeliest choice per token is taken, and return it."""
    state = models.run_one(choose, context=context, choices=choices)
    scores = [logprobs(models, context, choice) for choice in choices]
    means = [sum(row) / len(row) for row in scores]
    assert state["choice"] == choices[means.index(max(means))]
    assert state.text() == context + state["choice"] + "; so it is."
    meta = state.get_meta_info("choice")
    assert meta["normalized_prompt_logprobs"] == pytest.approx(means, rel=1e-9)
    for found, wanted in zip(meta["input_token_logprobs"], scores, strict=True):
        assert [entry.logprob for entry in found] == pytest.approx(wanted, rel=1e-9)
    return state["choice"]


def test_two_choices(models: Models) -> None:
    """Select from 2 choices."""
    contexts = [f"Is {n} a prime? " for n in range(20)]
    chosen = {expect_argmax(models, context, ["yes", "no"]) for context in contexts}
    assert chosen == {"yes", "no"}


def test_four_choices(models: Models) -> None:
    """Select from 4 choices."""
    contexts = [f"The colour of thing {n} is" for n in range(12)]
    chosen = {expect_argmax(models, context, [" red", " blue", " green", " black"]) for context in contexts}
    assert len(chosen) >= 2


def test_choices_that_share_a_prefix_token(models: Models) -> None:
    """Choices sharing a prefix token: the shared token counts for each."""
    choices = [" the red one", " the blue one", " the other"]
    ids = [models.engine.tokenizer.encode(choice) for choice in choices]
    assert len({row[0] for row in ids}) == 1
    for n in range(4):
        expect_argmax(models, f"Door {n}: take", choices)


def test_choices_of_different_length(models: Models) -> None:
    """Choices of different length."""
    for n in range(4):
        expect_argmax(models, f"{n}. Answer:", [" no", " certainly not, as far as anyone knows", " perhaps not"])


def test_a_choice_that_begins_another(models: Models) -> None:
    """One being a prefix of another."""
    for n in range(4):
        expect_argmax(models, f"{n}. Answer:", [" yes", " yes, but", " yes, but not today"])


def test_a_token_across_the_boundary_is_scored(models: Models) -> None:
    """A choice is tokenized with the text before it: the merged token at the boundary belongs to the choice."""
    tokenizer = models.engine.tokenizer
    assert len(tokenizer.encode("the ot" + "her")) < len(tokenizer.encode("the ot")) + len(tokenizer.encode("her"))
    expect_argmax(models, "This or the ot", ["her", "ter"])


def test_choices_given_by_the_row(models: Models) -> None:
    """Per-item choices (HellaSwag)."""
    rows = [
        {"context": "She opens the box and", "choices": [" smiles.", " it rains.", " a horse.", " seven."]},
        {"context": "The boat leaves", "choices": [" the harbour at noon.", " a sandwich."]},
        {"context": "He tunes the guitar,", "choices": [" then plays.", " then he eats it.", " so?"]},
    ]
    states = models.run(choose, rows)
    for row, state in zip(rows, states, strict=True):
        assert state["choice"] == expect_argmax(models, row["context"], row["choices"])


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_method_decides(models: Models, method: ChoicesSamplingMethod) -> None:
    """The three choice methods."""
    context, choices = "The answer is", [" yes", " no, not at all", " maybe"]
    state = models.run_one(choose, context=context, choices=choices, method=method)
    conditional = [logprobs(models, context, choice) for choice in choices]
    alone = [logprobs(models, "", choice) for choice in choices] if method.needs_unconditional else None
    assert state["choice"] == choices[method.decide(conditional, alone).index]
    assert all(math.isfinite(value) for row in conditional for value in row)


def test_no_choices_are_refused(models: Models) -> None:
    """`choices=[]` is an error, not a free generation."""
    with pytest.raises(sglc.ProgramError, match="wanted a list of at least one text"):
        models.run_one(choose, context="The answer is", choices=[])
