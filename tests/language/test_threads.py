"""Where programs run: several threads, asyncio, a notebook; host calls; context variables; Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

import sglc
from sglc.errors import ProgramError, error_location
from tests.language.conftest import line_of

State = Any
ROOT = Path(__file__).resolve().parent.parent.parent


@sglc.function
def chat(s: State, word: str) -> str:
    """Say something about a word, twice."""
    s += word + sglc.gen("a", max_tokens=6, temperature=1.0)
    s += s["a"] + sglc.gen("b", max_tokens=6, temperature=1.0)
    return str(s["b"])


WORDS = [(f"word {i}",) for i in range(20)]


def test_two_threads_at_once(engine: sglc.Engine) -> None:
    wanted = [state.text() for state in chat.run_batch(WORDS)]
    with ThreadPoolExecutor(2) as pool:
        both = [*pool.map(lambda _: [state.text() for state in chat.run_batch(WORDS)], range(4))]
    assert both == [wanted] * 4


def test_bodies_run_on_the_callers_thread(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: State, i: int) -> list[int]:
        seen = [threading.get_ident()]
        s += f"{i}" + sglc.gen("a", max_tokens=2)
        s["a"]
        return [*seen, threading.get_ident()]

    seen = {ident for state in program.run_batch([(i,) for i in range(10)]) for ident in state.ret_value}
    assert seen == {threading.get_ident()}


def test_a_stream_is_read_on_its_own_thread(engine: sglc.Engine) -> None:
    state = chat.run("x", stream=True)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ProgramError, match="another thread"):
        pool.submit(lambda: state["a"]).result()
    assert state["a"] is not None


def test_a_finished_state_is_read_anywhere(engine: sglc.Engine) -> None:
    state = chat.run("x")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(state.text).result() == state.text()


def test_a_program_may_be_run_by_a_tool(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: State) -> str:
        return str(sglc.call(lambda: chat.run("inner").text()))

    assert program.run().ret_value == chat.run("inner").text()


# asyncio


def test_asyncio_runs_other_tasks_meanwhile(engine: sglc.Engine) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    @sglc.function
    def slow(s: State) -> None:
        s += "x" + sglc.gen("a", max_tokens=100, ignore_eos=True)

    async def main() -> tuple[Any, ...]:
        ticking = asyncio.create_task(tick())
        results = await asyncio.gather(slow.arun(), chat.arun("x"), chat.arun_batch(WORDS), chat.arun_batch(WORDS[:5]))
        ticking.cancel()
        return tuple(results)

    _, single, many, few = asyncio.run(main())
    wanted = [state.text() for state in chat.run_batch(WORDS)]
    assert single.text() == chat.run("x").text()
    assert [state.text() for state in many] == wanted
    assert [state.text() for state in few] == wanted[:5]
    assert ticks > 3


def test_asyncio_errors(engine: sglc.Engine) -> None:
    @sglc.function
    def broken(s: State, i: int) -> None:
        s += "x"
        if i == 1:
            raise ValueError("broken")

    async def main() -> list[Any]:
        with pytest.raises(ValueError, match="broken"):
            await broken.arun(1)
        return await broken.arun_batch([(i,) for i in range(3)], concurrency=1)

    assert [repr(state.error) for state in asyncio.run(main())] == ["None", "ValueError('broken')", "None"]


def test_a_plain_run_inside_a_coroutine(engine: sglc.Engine) -> None:
    async def main() -> str:
        return chat.run("x").text()

    assert asyncio.run(main()) == chat.run("x").text()


def test_host_calls_under_asyncio(engine: sglc.Engine) -> None:
    @sglc.function
    def tool(s: State, i: int) -> int:
        s += f"{i}" + sglc.gen("a", max_tokens=2)
        return int(sglc.call(lambda: (time.sleep(0.05), i * 2)[1]))

    states = asyncio.run(tool.arun_batch([(i,) for i in range(20)]))
    assert [state.ret_value for state in states] == [2 * i for i in range(20)]


def test_a_notebook(engine: sglc.Engine) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    cells = [
        """\
        import sglc
        sglc.set_default_backend(sglc.Engine("replay:hash"))

        @sglc.function
        def chat(s, word):
            s += word + sglc.gen("a", max_tokens=6, temperature=1.0)
            s += s["a"] + sglc.gen("b", max_tokens=6, temperature=1.0)
        """,
        'print(len(chat.run("x")["b"]) >= 0, len(chat.run_batch([("a",), ("b",)])))',
        'state = await chat.arun("x"); print(state.text() == chat.run("x").text())',
        'print("".join([p async for p in chat.run("x", stream=True).text_async_iter()]) == state.text())',
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute(env=environment)
    printed = ["".join(output["text"] for output in cell["outputs"]) for cell in notebook["cells"]]
    assert printed == ["", "True 2\n", "True\n", "True\n"]


# Host calls


def test_a_hundred_slow_tools_take_no_second(engine: sglc.Engine) -> None:
    @sglc.function
    def tool(s: State, i: int) -> None:
        s += f"{i}"
        s += str(sglc.call(lambda: (time.sleep(0.1), i * 2)[1])) + sglc.gen("a", max_tokens=2)

    begun = time.perf_counter()
    states = tool.run_batch([(i,) for i in range(100)])
    assert time.perf_counter() - begun <= 1.0
    assert all(state.text().startswith(f"{i}{2 * i}") for i, state in enumerate(states))


def test_a_state_in_a_host_call_holds_no_locked_kv(engine: sglc.Engine) -> None:
    go_on, waiting = threading.Event(), threading.Semaphore(0)

    @sglc.function
    def tool(s: State, i: int) -> None:
        s += f"a prompt {i}" + sglc.gen("a", max_tokens=4)
        s["a"]
        sglc.call(lambda: (waiting.release(), go_on.wait(20)))
        s += "more" + sglc.gen("b", max_tokens=4)

    locked = []

    def look() -> None:
        for _ in range(5):
            waiting.acquire(timeout=20)
        time.sleep(0.05)
        locked.append((engine._scheduler._tree.protected, engine._scheduler.busy))
        go_on.set()

    looking = threading.Thread(target=look)
    looking.start()
    tool.run_batch([(i,) for i in range(5)])
    looking.join()
    assert locked == [
        (len(engine.tokenizer.encode("a prompt")) + len(engine.tokenizer.prefix), False)
    ]  # what is pinned


def test_what_a_host_call_raises_is_raised_in_the_program(engine: sglc.Engine) -> None:
    def fail() -> None:
        raise KeyError("inside")  # fails

    @sglc.function
    def caught(s: State) -> str:
        try:
            sglc.call(fail)
        except KeyError as error:
            return repr(error)
        return ""

    @sglc.function
    def not_caught(s: State) -> None:
        sglc.call(fail)

    assert caught.run().ret_value == "KeyError('inside')"
    with pytest.raises(KeyError) as failed:
        not_caught.run()
    assert error_location(failed.value) == (__file__, line_of(__file__, "fails"))


def test_outside_a_program_a_host_call_is_a_plain_call() -> None:
    assert sglc.call(lambda a, b=1: (a, b, threading.get_ident()), 2, b=3) == (2, 3, threading.get_ident())


# Context variables

COLOUR: ContextVar[str] = ContextVar("colour", default="none")


def test_bodies_and_host_calls_see_a_copy_of_the_callers_context(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: State, i: int) -> list[str]:
        seen = [COLOUR.get()]
        COLOUR.set(f"row {i}")
        s += f"{i}" + sglc.gen("a", max_tokens=2)
        s["a"]
        return [*seen, COLOUR.get(), sglc.call(COLOUR.get)]

    token = COLOUR.set("red")
    try:
        states = program.run_batch([(i,) for i in range(5)])
        assert [state.ret_value for state in states] == [["red", f"row {i}", f"row {i}"] for i in range(5)]
        assert COLOUR.get() == "red"
    finally:
        COLOUR.reset(token)


# Errors of the host program


def test_a_host_error_keeps_its_type_and_line(engine: sglc.Engine) -> None:
    @sglc.function
    def program(s: State) -> None:
        s += "x" + sglc.gen("a", max_tokens=2)
        int("x" + s["a"])  # not a number

    with pytest.raises(ValueError, match="invalid literal") as caught:
        program.run()
    assert error_location(caught.value) == (__file__, line_of(__file__, "not a number"))


INTERRUPTED = """\
import sys
import sglc
engine = sglc.Engine("replay:hash")
sglc.set_default_backend(engine)

@sglc.function
def endless(s, i):
    try:
        s += f"{i}" + sglc.gen("a", max_tokens=500_000, ignore_eos=True)
        if i == 2:
            print("running", flush=True)
        s["a"]
    finally:
        print("left", flush=True)

try:
    endless.run_batch([(i,) for i in range(3)])
except KeyboardInterrupt:
    engine.close()
    tree = engine._scheduler._tree
    print("interrupted", tree.protected, engine._scheduler.busy, flush=True)
    sys.exit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is sent another way there")
def test_ctrl_c_ends_a_batch_and_frees_the_engine() -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert out.splitlines() == ["left", "left", "left", "interrupted 0 False"]
    assert process.returncode == 130
