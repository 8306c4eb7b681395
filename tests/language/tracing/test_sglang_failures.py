"""What SGLang's tracer and compiler did wrong, each a program that comes out here as it does eagerly."""

import threading
from typing import Any

import pytest

import sglc
from sglc.language.tracing.path import Path
from tests.cases.models import Models


def test_branches_keep_the_prefix_of_their_parent(models: Models) -> None:
    """There, compiled branches of a fork lost the text before the fork."""

    @sglc.function
    def forked(s):
        s += "base "
        forks = s.fork(2)
        forks[0] += "first" + sglc.gen("a", max_tokens=2)
        forks[1] += "second" + sglc.gen("a", max_tokens=2)
        return [fork.text() for fork in forks]

    assert forked.trace().tier == "captured"
    state = models.run_one(forked)
    assert all(text.startswith("base ") for text in state.ret_value)


def test_the_arm_of_a_generated_value_is_the_right_one(models: Models) -> None:
    """There, `s["t"] == "calc"` compared a node to a text: only the other arm was in the graph."""

    @sglc.function
    def tool(s, task):
        s += task + sglc.select("t", choices=["calc", "look", "none"])
        if s["t"] == "calc":
            s += " 1+1="
        elif s["t"] == "look":
            s += " it up:"
        else:
            s += " at all."

    assert tool.trace().tier == "captured"
    states = models.run(tool, [(f"Task {n}: ",) for n in range(20)])
    endings = {"calc": " 1+1=", "look": " it up:", "none": " at all."}
    assert {state["t"] for state in states} == set(endings)
    for state in states:
        assert state.text().endswith(state["t"] + endings[state["t"]])


def test_a_loop_on_a_generated_value_ends_at_trace_time(models: Models) -> None:
    """There, the tracer never came back."""

    @sglc.function
    def until_yes(s):
        s += "Go on?"
        s["answer"] = ""
        while "yes" not in s["answer"]:
            s += sglc.gen("answer", max_tokens=6)

    capture = until_yes.trace()
    assert capture.tier == "partly eager"
    assert "more than 64 ways" in capture.breaks[0].cause
    assert models.run_one(until_yes).text().endswith(models.run_one(until_yes)["answer"])


@pytest.mark.parametrize("value", ["x", "", "a longer text", 5, None, 2.5])
def test_str_of_an_argument_is_its_text(models: Models, value: Any) -> None:
    """There, `str(arg)` was the name of a placeholder, and went into the prompt."""

    @sglc.function
    def shown(s, value):
        s += "Value: " + str(value) + f"; {value}; {value!r};" + sglc.gen("x", max_tokens=1)

    state = models.run_one(shown, value=value)
    assert state.text().startswith(f"Value: {value}; {value}; {value!r};")


def test_an_argument_compares_as_its_value(models: Models) -> None:
    """There, `arg == "x"` and `arg in …` were silently false."""

    @sglc.function
    def compared(s, word):
        s += "equal" if word == "x" else "different"
        s += " among" if word in ("x", "y") else " elsewhere"
        s += " inside" if "a" in word else " outside"

    texts = [state.text() for state in models.run(compared, [("x",), ("y",), ("banana",)])]
    assert texts == ["equal among outside", "different among outside", "different elsewhere inside"]
    assert {capture.tier for capture in compared.captures()} == {"specialized"}


def test_the_structure_of_an_argument_is_there(models: Models) -> None:
    """There, truth, length, index, int and iteration were errors that cut the prefix."""

    @sglc.function
    def structured(s, words, number):
        if words:
            s += f"{len(words)} words, the first is {words[0]}, {int(number) + 1} after all:"
        for word in words:
            s += f" {word}"

    rows = [(["a", "b"], "3"), ([], "4"), (["c"], "5")]
    texts = [state.text() for state in models.run(structured, rows)]
    assert texts == ["2 words, the first is a, 4 after all: a b", "", "1 words, the first is c, 6 after all: c"]


def test_a_dict_is_looked_up_by_argument(models: Models) -> None:
    """There, the KeyError of a placeholder escaped and killed the batch."""
    capitals = {"Italy": "Rome", "Spain": "Madrid"}

    @sglc.function
    def capital(s, country):
        s += f"{country}: {capitals[country]}"

    states = models.run(capital, [("Italy",), ("Peru",), ("Spain",)], failing=True)
    assert [state.text() for state in (states[0], states[2])] == ["Italy: Rome", "Spain: Madrid"]
    assert isinstance(states[1].error, KeyError)


def test_side_effects_happen_once_a_row() -> None:
    """There, the body ran once more for each batch, with placeholders in its arguments."""
    seen = []

    @sglc.function
    def noted(s, word):
        s += word + sglc.gen("x", max_tokens=1)
        seen.append(word)
        s += "!"

    with sglc.Engine("replay:hash") as engine:
        noted.run_batch([("a",), ("b",), ("c",)], backend=engine)
    assert sorted(seen) == ["a", "b", "c"]


def test_another_thread_runs_while_one_traces(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, a call on another thread got a tracer's state in place of its run."""
    inside, go_on = threading.Event(), threading.Event()
    main = threading.current_thread()
    texts = []
    concat = Path.concat

    def held(path: Path, parts: Any) -> Any:
        if threading.current_thread() is not main:
            inside.set()
            assert go_on.wait(10)
        return concat(path, parts)

    monkeypatch.setattr(Path, "concat", held)

    @sglc.function
    def slow(s, word):
        s += f"{word} for it"

    @sglc.function
    def quick(s):
        s += "quick" + sglc.gen("x", max_tokens=1)

    def run_slowly() -> None:
        texts.append(slow.run(word="wait", backend=models.engine).text())

    thread = threading.Thread(target=run_slowly)
    thread.start()
    assert inside.wait(10)
    state = quick.run(backend=models.engine)
    go_on.set()
    thread.join()
    assert isinstance(state["x"], str)
    assert texts == ["wait for it"]


def test_positional_arguments_of_a_nested_program(models: Models) -> None:
    """There, a nested call with positional arguments ran, and could not be traced."""

    @sglc.function
    def inner(s, a, b):
        s += f"{a} and {b}:" + sglc.gen("x", max_tokens=2)
        return b

    @sglc.function
    def outer(s, word):
        child = inner(word, "other")
        s += child["x"] + child.ret_value

    assert outer.trace().tier == "captured"
    assert models.run_one(outer, word="one").text().endswith("other")


def test_roles_scopes_and_joins_are_captured(models: Models) -> None:
    """There, `with s.user()`, `var_scope`, `join`, `text()` and `messages()` were attribute errors."""

    @sglc.function
    def whole(s, question):
        with s.user():
            s += question
        with s.assistant(), s.var_scope("thought"):
            s += "Let me see:" + sglc.gen("x", max_tokens=2)
        with s.copy() as scratch:
            scratch += " hidden"
        forks = s.fork(2)
        forks += sglc.user("More?")
        forks.join("concate_and_append")
        return s["thought"], len(s.messages()), s.text()

    assert whole.trace().tier == "captured"
    models.run_one(whole, question="Why?")


def test_default_values_stay_what_they_are(models: Models) -> None:
    """There, defaults were replaced by placeholders."""

    @sglc.function
    def greeting(s, name="Ada", *, times=2):
        for _ in range(times):
            s += f"Hello {name}. "

    assert models.run_one(greeting).text() == "Hello Ada. Hello Ada. "
