"""Case 34: thinking models, programs that are cancelled, and branches that the engine fails."""

import asyncio
import re
import time
from collections.abc import Callable

import pytest

import sglc
from sglc.language.primitives import Expression
from tests.cases.conftest import MakeModels
from tests.cases.models import Models, line_marked
from tests.cases.test_case_05 import turn

THINKING = r"<think>so [a-e]{2,4}\n</think>\n\n[A-Z][a-z]{2} is it\."


def thinking(name: str = "answer") -> Expression:
    """Return a generation that thinks first."""
    return sglc.separate_reasoning(sglc.gen(name, regex=THINKING, max_tokens=80), model_type="qwen3")


def test_thoughts_are_taken_out(models: Models) -> None:
    """separate_reasoning: the answer stays in the prompt, the thoughts in a variable of their own."""

    @sglc.function
    def think(s, question):
        s += question + "\n" + thinking() + "\nSure? " + sglc.gen("sure", max_tokens=3)

    state = models.run_one(think, question="Who?")
    assert re.fullmatch("so [a-e]{2,4}", state["answer_reasoning_content"])
    assert re.fullmatch(r"[A-Z][a-z]{2} is it\.", state["answer"])
    assert state.text() == f"Who?\n{state['answer']}\nSure? {state['sure']}"
    prompt = models.ids(f"Who?\n{state['answer']}\nSure? ")
    assert state.get_meta_info("sure")["prompt_tokens"] == len(prompt)


def test_planted_thoughts(models_with: MakeModels) -> None:
    """separate_reasoning of what a model says by itself."""
    planted = "Reply: <think>a hat or a coat</think>A hat.\n"
    models = models_with(plant=[planted])

    @sglc.function
    def reply(s):
        s += "Reply:" + sglc.separate_reasoning(
            sglc.gen("reply", stop="\n", max_tokens=40, temperature=0), model_type="deepseek-v3"
        )

    state = models.run_one(reply)
    if models.scripted:
        assert state["reply_reasoning_content"] == "a hat or a coat"
        assert state["reply"] == "A hat."
    assert state.text() == "Reply:" + state["reply"]


def test_thoughts_inside_a_message(models: Models) -> None:
    """Incl. inside a role."""

    @sglc.function
    def chat(s, question):
        s += sglc.user(question)
        s += sglc.assistant(thinking())

    state = models.run_one(chat, question="Who?")
    assert state.text() == turn("user", "Who?") + turn("assistant", state["answer"])
    assert state.messages()[1]["content"] == state["answer"]
    assert state["answer_reasoning_content"].startswith("so ")


def test_thoughts_before_further_turns(models: Models) -> None:
    """And before further turns: the next one does not see them."""

    @sglc.function
    def chat(s, questions):
        for i, question in enumerate(questions):
            s += sglc.user(question)
            s += sglc.assistant(thinking(f"answer_{i}"))

    questions = ["Who?", "Where?", "Why?"]
    state = models.run_one(chat, questions=questions)
    assert state.text() == "".join(
        turn("user", question) + turn("assistant", state[f"answer_{i}"]) for i, question in enumerate(questions)
    )
    assert "<think>" not in state.text()


def test_several_samples_think_apart(models: Models) -> None:
    """separate_reasoning with n>1."""

    @sglc.function
    def think(s):
        s += "Who? " + sglc.separate_reasoning(sglc.gen("a", regex=THINKING, n=3, max_tokens=80), model_type="qwen3")

    state = models.run_one(think)
    assert len(state["a"]) == len(state["a_reasoning_content"]) == 3
    assert state.text() == "Who? " + state["a"][0]


def test_thinking_needs_a_name() -> None:
    """A nameless generation or an unknown kind of model is refused."""
    with pytest.raises(sglc.ProgramError, match="wanted a name"):
        sglc.separate_reasoning(sglc.gen(max_tokens=3), model_type="qwen3")
    with pytest.raises(sglc.ProgramError, match="found model_type = 'parrot'"):
        sglc.separate_reasoning(sglc.gen("x"), model_type="parrot")


LONG = 1500


@sglc.function
def endless(s, n):
    s += f"Row {n}:" + sglc.gen("x", max_tokens=LONG, ignore_eos=True)


def cancel_a_stream() -> None:
    state = endless.run(0, stream=True)
    next(state.text_iter("x"))
    state.cancel()
    with pytest.raises(sglc.errors.Cancelled, match="found the program closed before this was finished"):
        state["x"]
    with pytest.raises(sglc.errors.Cancelled):
        state.text()


def cancel_another_task() -> None:
    async def both() -> None:
        state = endless.run(0, stream=True)
        heard = []

        async def listen() -> None:
            heard.extend([piece async for piece in state.text_async_iter()])

        task = asyncio.create_task(listen())
        await asyncio.sleep(0.02)
        state.cancel()
        with pytest.raises(sglc.errors.Cancelled):
            await asyncio.wait_for(task, timeout=5)

    asyncio.run(both())


def leave_a_batch() -> None:
    @sglc.function
    def first_is_short(s, n):
        s += f"Row {n}:" + sglc.gen("x", max_tokens=LONG if n else 1, ignore_eos=True)

    states = first_is_short.run_batch([(n,) for n in range(4)], generator_style=True)
    assert next(states).index == 0
    states.close()


def cancel_a_task() -> None:
    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(endless.arun(0), timeout=0.05)

    asyncio.run(impatient())


def interrupt_the_body() -> None:
    @sglc.function
    def interrupted(s):
        forks = s.fork(2)
        forks[0] += "x" + sglc.gen("x", max_tokens=LONG, ignore_eos=True)
        forks[1] += "y" + sglc.gen("y", max_tokens=1)
        if forks[1]["y"] is not None:  # now the other branch is on its way
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.run()


@pytest.mark.parametrize(
    "leave", [cancel_a_stream, cancel_another_task, leave_a_batch, cancel_a_task, interrupt_the_body]
)
def test_a_program_cancelled_midway(models: Models, leave: Callable[[], None]) -> None:
    """Program cancelled mid-way: the engine drops what nobody waits for, and serves the next program."""
    models.start_cold()
    leave()
    time.sleep(0.05)  # a step that was under way may end
    decoded = models.engine.counters.decoded
    assert decoded < LONG
    time.sleep(0.05)
    assert models.engine.counters.decoded == decoded

    @sglc.function
    def following(s):
        s += "Next:" + sglc.gen("x", max_tokens=2)

    assert models.run_one(following).text().startswith("Next:")


@sglc.function
def survey(s, texts):
    s += "Notes. "
    forks = s.fork(len(texts))
    for text, fork in zip(texts, forks, strict=True):
        fork += text
        fork += sglc.gen("note", max_tokens=2)  # asked
    return forks


def test_an_engine_error_in_a_branch(models_with: MakeModels) -> None:
    """Backend exception in a branch: it surfaces at its own line, and the other branches keep their values."""
    models = models_with(kv_tokens=64)
    sglc.set_default_backend(models.engine)
    try:
        texts = ["short:", "much too long " * 40, "short too:"]
        (state,) = models.run(survey, [(texts,)], failing=True)
        assert isinstance(state.error, sglc.EngineError)
        assert state.error.location == line_marked(survey, "asked")
        assert "64" in str(state.error)
        first, second, third = state.ret_value
        assert first.text() == "Notes. short:" + first["note"]
        assert third.text() == "Notes. short too:" + third["note"]
        assert second.error is state.error
        with pytest.raises(sglc.EngineError, match="KV pool"):
            second["note"]
    finally:
        sglc.set_default_backend(None)


def test_a_handled_error_of_a_branch(models_with: MakeModels) -> None:
    """A program that reads the failed branch may handle its error and finish."""
    models = models_with(kv_tokens=64)

    @sglc.function
    def careful(s):
        forks = s.fork(2)
        forks[0] += "short:" + sglc.gen("note", max_tokens=2)
        forks[1] += "much too long " * 40 + sglc.gen("note", max_tokens=2)
        notes = []
        for fork in forks:
            try:
                notes.append(fork["note"])
            except sglc.EngineError:
                notes.append(None)
        s += f"{len(notes)} notes:" + sglc.gen("last", max_tokens=1)
        return notes

    state = models.run_one(careful)
    assert state.ret_value[1] is None
    assert isinstance(state.ret_value[0], str)
    assert state.text() == "2 notes:" + state["last"]
