"""Case 5: chat with and without a system message, roles written in every way."""

from pathlib import Path

import pytest

import sglc
from sglc.backend.tokenizer_files import DATA
from tests.cases.conftest import MakeModels
from tests.cases.models import Models

DEFAULT = "You are a helpful assistant."
WITH_DEFAULT = (
    "{%- if messages and messages[0].role != 'system' %}"
    f"{{{{- '<|im_start|>system\\n{DEFAULT}<|im_end|>\\n' }}}}"
    "{%- endif %}"
)


def turn(role: str, content: str) -> str:
    """Return one message as ChatML writes it."""
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


@sglc.function
def ask(s, question):
    s += sglc.user(question)
    s += sglc.assistant(sglc.gen("answer", max_tokens=6))


@sglc.function
def by_call(s, rule, question):
    s += sglc.system(rule)
    s += sglc.user(question)
    s += sglc.assistant("Well, " + sglc.gen("answer", max_tokens=6))


@sglc.function
def by_method(s, rule, question):
    s.system(rule)
    s.user(question)
    s.assistant("Well, " + sglc.gen("answer", max_tokens=6))


@sglc.function
def by_scope(s, rule, question):
    with s.system():
        s += rule
    with s.user():
        s += question
    with s.assistant():
        s += "Well, "
        s += sglc.gen("answer", max_tokens=6)


@sglc.function
def by_begin_and_end(s, rule, question):
    s += sglc.system_begin() + rule + sglc.system_end()
    s += sglc.user_begin()
    s += question
    s += sglc.user_end()
    s += sglc.assistant_begin()
    s += "Well, " + sglc.gen("answer", max_tokens=6)
    s += sglc.assistant_end()


@sglc.function
def mixed(s, rule, question):
    s += sglc.system(rule) + sglc.user_begin() + question
    s += sglc.user_end()
    with s.assistant():
        s += "Well, " + sglc.gen("answer", max_tokens=6)


def test_a_default_system_prompt_is_inserted(models_with: MakeModels, tmp_path: Path) -> None:
    """Default system prompt inserted."""
    template = tmp_path / "default.jinja"
    template.write_text(WITH_DEFAULT + (DATA / "chatml.jinja").read_text(encoding="utf-8"), encoding="utf-8")
    models = models_with(chat_template=str(template))
    state = models.run_one(ask, question="Who?")
    assert state.text() == turn("system", DEFAULT) + turn("user", "Who?") + turn("assistant", state["answer"])
    own = models.run_one(by_call, rule="Be brief.", question="Who?")
    assert own.text().startswith(turn("system", "Be brief.") + turn("user", "Who?"))


def test_a_template_without_default_inserts_none(models: Models) -> None:
    """Default system prompt inserted only where the template has one."""
    state = models.run_one(ask, question="Who?")
    assert state.text() == turn("user", "Who?") + turn("assistant", state["answer"])
    assert state.messages() == [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": state["answer"].lstrip()},
    ]


def test_an_empty_system_message(models: Models) -> None:
    """Empty `system()`."""

    @sglc.function
    def bare(s, question):
        s += sglc.system()
        s += sglc.user(question)
        s += sglc.assistant(sglc.gen("answer", max_tokens=6))

    state = models.run_one(bare, question="Who?")
    assert state.text() == turn("system", "") + turn("user", "Who?") + turn("assistant", state["answer"])
    assert state.messages()[0] == {"role": "system", "content": ""}


@pytest.mark.parametrize("rule", ["Be brief.", "text that spells <|im_end|> is text"])
def test_an_explicit_system_message(models: Models, rule: str) -> None:
    """Explicit system."""
    state = models.run_one(by_call, rule=rule, question="Who?")
    assert state.messages()[0] == {"role": "system", "content": rule}
    special, encode = models.engine.tokenizer.special_ids, models.engine.tokenizer.encode
    start, end = special["<|im_start|>"], special["<|im_end|>"]
    prompt = [start, *encode(f"system\n{rule}"), end, *encode("\n"), start, *encode("user\nWho?"), end]
    prompt += [*encode("\n"), start, *encode("assistant\nWell, ")]
    assert state.get_meta_info("answer")["prompt_tokens"] == len(prompt)


def expect_conversation(models: Models, program: sglc.function) -> None:
    """Check that a program writes the same conversation as `by_call`."""
    state = models.run_one(program, rule="Be brief.", question="Who?")
    assert state.text() == (
        turn("system", "Be brief.") + turn("user", "Who?") + turn("assistant", "Well, " + state["answer"])
    )
    assert [message["role"] for message in state.messages()] == ["system", "user", "assistant"]
    assert state.messages()[2]["content"] == "Well, " + state["answer"]
    assert state["answer"] == models.run_one(by_call, rule="Be brief.", question="Who?")["answer"]


def test_roles_by_call(models: Models) -> None:
    """Roles by call, as expressions and as methods of the state."""
    expect_conversation(models, by_call)
    expect_conversation(models, by_method)


def test_roles_by_scope(models: Models) -> None:
    """Roles by scope."""
    expect_conversation(models, by_scope)


def test_roles_by_begin_and_end(models: Models) -> None:
    """Roles by begin/end."""
    expect_conversation(models, by_begin_and_end)


def test_roles_in_mixed_ways(models: Models) -> None:
    """Mixed."""
    expect_conversation(models, mixed)
