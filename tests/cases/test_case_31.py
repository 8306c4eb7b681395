"""Case 31: streams. What they yield adds up to the text, and comes while the program still runs."""

import asyncio
import time
from collections.abc import Iterator

import pytest

import sglc
from sglc.backend.step import Logits, Step
from tests.cases.models import Models

LENGTH = 12


@sglc.function
def story(s, hero):
    s += f"Once {hero} went" + sglc.gen("start", max_tokens=LENGTH, ignore_eos=True)
    s += ". Then came " + sglc.select("guest", choices=["a fox", "an owl"])
    with s.var_scope("end"):
        s += " and said" + sglc.gen("said", max_tokens=LENGTH, ignore_eos=True) + "."


@pytest.fixture(autouse=True)
def an_engine_slower_than_its_reader(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step take 3 ms at least: otherwise a reader that the machine keeps waiting finds everything said."""
    forward = models.engine.model.forward

    def slowly(step: Step) -> Logits:
        time.sleep(0.003)
        return forward(step)

    monkeypatch.setattr(models.engine.model, "forward", slowly)


def pieces_while_running(models: Models, stream: Iterator[str], goal: int) -> list[str]:
    """Return a stream's pieces; several must have come before `goal` tokens were decoded since the count began."""
    pieces = []
    early = 0
    for piece in stream:
        pieces.append(piece)
        early += models.engine.counters.decoded < goal
    assert all(pieces)
    assert early >= 2
    return pieces


def test_the_whole_text(models: Models) -> None:
    """Stream whole text."""
    whole = models.run_one(story, hero="Ada")
    models.start_cold()
    state = story.run(hero="Ada", stream=True)
    pieces = pieces_while_running(models, state.text_iter(), 2 * LENGTH)
    assert "".join(pieces) == state.text() == whole.text()
    assert len(pieces) > 2  # how many tokens a piece has depends on who is faster, the engine or the reader
    assert state["said"] == whole["said"]


def test_one_variable(models: Models) -> None:
    """One variable, the later one too."""
    whole = models.run_one(story, hero="Bob")
    for name in ("start", "said"):
        models.start_cold()
        state = story.run(hero="Bob", stream=True)
        pieces = pieces_while_running(models, state.text_iter(name), 2 * LENGTH)
        assert "".join(pieces) == whole[name]
        assert state.text() == whole.text()


def test_a_select(models: Models) -> None:
    """Select: its decision comes at once, before what follows it."""
    state = story.run(hero="Cleo", stream=True)
    models.start_cold()
    stream = state.text_iter("guest")
    piece = next(stream)
    assert models.engine.counters.decoded < 2 * LENGTH
    assert [piece, *stream] == [models.run_one(story, hero="Cleo")["guest"]]


def test_a_scope(models: Models) -> None:
    """var_scope, by its name, as it grows."""
    whole = models.run_one(story, hero="Dora")
    models.start_cold()
    state = story.run(hero="Dora", stream=True)
    pieces = pieces_while_running(models, state.text_iter("end"), 2 * LENGTH)
    assert "".join(pieces) == whole["end"] == f" and said{whole['said']}."


def test_a_forked_branch(models: Models) -> None:
    """Forked branch, read by the program while another branch runs; captured, a stream is one piece."""
    heard = {}

    @sglc.function
    def two(s):
        s += "Two voices:"
        forks = s.fork(2)
        forks += lambda i: f" {i}." + sglc.gen("voice", max_tokens=LENGTH, ignore_eos=True)
        heard["whole"] = list(forks[0].text_iter())
        heard["voice"] = list(forks[1].text_iter("voice"))
        forks.join()
        return [fork.text() for fork in forks]

    state = two.run(stream=True)
    assert "".join(state.text_iter()) == "Two voices:"
    assert "".join(heard["whole"]) == state.ret_value[0]
    assert "".join(heard["voice"]) == state["voice"][1]
    assert len(heard["whole"]) > 2

    @sglc.function
    def joined(s):
        s += "Two voices:"
        forks = s.fork(2)
        forks += lambda i: f" {i}." + sglc.gen("voice", max_tokens=LENGTH, ignore_eos=True)
        return ["".join(forks[0].text_iter()), "Two voices: 1." + "".join(forks[1].text_iter("voice"))]

    assert models.run(joined, [{}] * 3)[0].ret_value == state.ret_value


def test_several_samples(models: Models) -> None:
    """One variable with n>1: its first sample."""

    @sglc.function
    def several(s):
        s += "A name:" + sglc.gen("name", n=3, max_tokens=LENGTH, ignore_eos=True)

    state = several.run(stream=True)
    pieces = list(state.text_iter("name"))
    assert len(pieces) > 2
    assert "".join(pieces) == state["name"][0]


def test_async(models: Models) -> None:
    """Async: two programs in turns on one asyncio loop, their pieces interleaved."""
    heard: list[tuple[str, str]] = []

    async def listen(hero: str) -> str:
        state = story.run(hero=hero, stream=True)
        async for piece in state.text_async_iter():
            heard.append((hero, piece))  # noqa: PERF401 - in turns with the other
        return state.text()

    async def both() -> list[str]:
        return await asyncio.gather(listen("Eve"), listen("Finn"))

    texts = asyncio.run(both())
    for hero, text in zip(("Eve", "Finn"), texts, strict=True):
        assert "".join(piece for name, piece in heard if name == hero) == text
        assert text == models.run_one(story, hero=hero).text()
    names = [name for name, _ in heard]
    assert names.index("Finn") < len(names) - 1 - names[::-1].index("Eve")
    assert names.index("Eve") < len(names) - 1 - names[::-1].index("Finn")


def test_logprobs_of_a_stream(models: Models) -> None:
    """With logprob deltas: each piece comes with the log-probabilities of the tokens so far."""

    @sglc.function
    def scored(s):
        s += "Say" + sglc.gen("x", max_tokens=LENGTH, ignore_eos=True, return_logprob=True)

    async def listen() -> tuple[list[str], list[int], object]:
        pieces, counts = [], []
        state = scored.run(stream=True)
        async for piece, meta in state.text_async_iter("x", return_meta_data=True):
            pieces.append(piece)
            counts.append(len(meta["output_token_logprobs"]))
        return pieces, counts, state.get_meta_info("x")["output_token_logprobs"]

    pieces, counts, final = asyncio.run(listen())
    assert "".join(pieces) == scored.run()["x"]
    assert final == scored.run().get_meta_info("x")["output_token_logprobs"]
    assert len(set(counts)) > 2
    assert counts == sorted(counts)
    assert counts[-1] == LENGTH


def test_a_program_that_does_not_stream(models: Models) -> None:
    """A finished state yields its text once; an error and an unknown name end the stream loudly."""
    state = story.run(hero="Gus")
    assert list(state.text_iter()) == [state.text()]
    assert list(state.text_iter("guest")) == [state["guest"]]
    with pytest.raises(sglc.UnknownVariable, match="'nobody'"):
        list(story.run(hero="Gus", stream=True).text_iter("nobody"))

    @sglc.function
    def broken(s):
        s += "Fine so far" + sglc.gen("x", max_tokens=2)
        raise ValueError(s["x"])

    stream = broken.run(stream=True).text_iter()
    assert next(stream) == "Fine so far"
    with pytest.raises(ValueError):
        list(stream)
