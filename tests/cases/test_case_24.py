"""Case 24: programs with some arguments bound."""

import pytest

import sglc
from tests.cases.models import Models


@sglc.function(num_api_spec_tokens=16)
def translate(s, language, text, tone="plain", *, ending="."):
    s += f"Into {language}, {tone}: {text}{ending}" + sglc.gen("translation", max_tokens=3)


def test_bind_then_batch(models: Models) -> None:
    """bind() some arguments, then batch."""
    bound = translate.bind(language="French", ending="!")
    states = models.run(bound, [{"text": "Hello"}, ("Goodbye",), {"text": "Tea", "tone": "kind"}])
    heads = ["Into French, plain: Hello!", "Into French, plain: Goodbye!", "Into French, kind: Tea!"]
    assert [state.text() for state in states] == [h + s["translation"] for h, s in zip(heads, states, strict=True)]


def test_bind_keeps_options(models: Models) -> None:
    """Bind + spec/compile options preserved."""
    bound = translate.bind(language="French").bind(tone="kind")
    assert bound.num_api_spec_tokens == 16
    assert translate.bound == {}
    assert models.run_one(bound, text="Hello").text().startswith("Into French, kind: Hello.")


def test_a_bound_value_wins(models: Models) -> None:
    """Bound values overwrite those of a run; an unknown name is refused."""
    state = models.run_one(translate.bind(language="French"), language="Dutch", text="Hello")
    assert state.text().startswith("Into French")
    with pytest.raises(sglc.ProgramError, match="the argument 'tongue'"):
        translate.bind(tongue="French")
