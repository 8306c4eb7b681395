"""Transcripts say what the prompts of eager states say, statement for statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sglc
from sglc.backend.prompt import Prompt
from sglc.backend.roles import Roles
from sglc.backend.tokenizer import Tokenizer
from sglc.backend.transcript import Transcript
from sglc.errors import ProgramError
from sglc.ir.sampling import SamplingParams
from sglc.language.loop import ProgramLoop
from sglc.language.primitives import RoleBegin, RoleEnd
from sglc.language.row import Row
from sglc.language.state import ProgramState
from tests.backend.test_chat_template import LLAMA2, backend
from tests.tokenizers import small

Tried = tuple[str, str]
TEXTS = ("", " ", "Hi", "\n", "好", "<s>", " there")
ROLES = ("system", "user", "assistant")


class Said(NamedTuple):
    """An answer of a model that never was asked."""

    text: str
    reasoning: str | None = None

    def behind(self, settled: Prompt) -> Prompt:
        """Take all but the first character as a token each; that one was cut from the last token."""
        return settled.extended(np.array([7] * len(self.text[1:]), np.int64)).append(self.text[:1])


def statements() -> st.SearchStrategy[list[Tried]]:
    """Statements in any order: what is wrong where it stands has to be refused by both sides."""
    text = st.tuples(st.just("append"), st.sampled_from(TEXTS))
    role = st.tuples(st.sampled_from(("begin", "end", "end")), st.sampled_from(ROLES))
    other = st.sampled_from([("rest", ""), ("said", "yes"), ("said", ""), ("thought", " so")])
    return st.lists(st.one_of(text, role, other), max_size=14)


@pytest.fixture(scope="module", params=["chatml", "llama2", "none"])
def engine(request: pytest.FixtureRequest) -> Iterator[sglc.Engine]:
    """Engines with a template, with one that puts a space before an assistant's given text, and without."""
    tokenizer = small()
    if request.param == "llama2":
        config = {"bos_token": "<s>", "eos_token": "</s>"}
        tokenizer = Tokenizer(backend("always"), config=config, chat_template=LLAMA2)
    if request.param == "none":
        tokenizer = Tokenizer(backend("prepend"), config={"bos_token": "<s>"})
    with closing(sglc.Engine("replay:hash", tokenizer=tokenizer)) as engine:
        yield engine


def eagerly(state: ProgramState, kind: str, text: str) -> None:
    """Do to a state what its statements do. Raises ProgramError."""
    if kind == "append":
        state.do(text)
    elif kind == "begin":
        state.dialogue.begin(RoleBegin(text, None))
    elif kind == "end":
        state.dialogue.end(RoleEnd(text, None))
    elif kind == "rest":
        state.dialogue.write_due()
    else:
        state.dialogue.write_due()
        asked = state.prompt.settled(state.row.engine.tokenizer)
        state.prompt = state.prompt.append(text) if kind == "thought" else Said(text).behind(asked)
        state.pieces.append(text)


def grown(transcript: Transcript, kind: str, text: str, tokenizer: Tokenizer) -> Transcript:
    """Do the same to a transcript. Raises ProgramError."""
    if kind == "append":
        return transcript.append(text)
    if kind == "begin":
        return transcript.begin(text)
    if kind == "end":
        return transcript.end(text)
    rested = transcript.rest()
    if kind == "rest":
        return rested
    said = Said(text, "qwen3" if kind == "thought" else None)
    return rested.answered(said, rested.prompt(tokenizer).settled(tokenizer))


@given(tried=statements())
@settings(max_examples=300, deadline=None)
def test_equals_an_eager_state(engine: sglc.Engine, tried: list[Tried]) -> None:
    """Text, messages, tokens and tail are equal behind every statement; what one refuses, the other does."""
    tokenizer = engine.tokenizer
    row = Row(ProgramLoop(engine), lambda s: None, {}, SamplingParams(), 0, streamed=False)
    state, transcript = row.state, Transcript(tokenizer.no_roles)
    before: list[tuple[int, Transcript]] = []
    for kind, text in tried:
        before.append((len(state.pieces), transcript))
        refused = told = None
        try:
            eagerly(state, kind, text)
        except ProgramError as error:
            refused = error.message
        try:
            transcript = grown(transcript, kind, text, tokenizer)
        except ProgramError as error:
            told = error.message
        assert told == refused
        assert transcript.text == "".join(state.pieces)
        assert transcript.messages == state.dialogue.messages
        found, wanted = (parts(prompt) for prompt in (transcript.prompt(tokenizer), state.prompt))
        assert found == wanted
        assert (transcript.roles.role, transcript.roles.due) == (state.dialogue.role, state.dialogue.due)
        for pieces, earlier in before:
            assert transcript.since(earlier) == "".join(state.pieces[pieces:])


def parts(prompt: Prompt) -> tuple[Any, ...]:
    """Return all of a prompt, to be compared."""
    return prompt.tokens.tolist(), prompt.tail, prompt.started


def test_several_texts_are_one() -> None:
    """Appending several texts is appending them one behind the other."""
    start = Transcript(Roles(None))
    assert start.append("a", "", "b").text == start.append("a").append("").append("b").text == "ab"
    assert start.append("").last is None


def test_what_is_no_text_is_refused() -> None:
    """Only text can be appended."""
    wrong: Any = 3
    for texts in ((wrong,), ("a", wrong)):
        with pytest.raises(TypeError):
            Transcript(Roles(None)).append(*texts)


def test_long_prompts_share_what_is_before_them() -> None:
    """A hundred thousand texts, one behind the other, are held once by all that go on from them."""
    tokenizer = small()
    transcript = Transcript(tokenizer.no_roles)
    for _ in range(100_000):
        transcript = transcript.append("word ")
    fork, other = transcript.append("a"), transcript.append("b")
    assert fork.last is not None and other.last is not None and fork.last.before is other.last.before
    assert len(transcript.text) == 500_000 and fork.since(transcript) == "a"
    assert transcript.prompt(tokenizer).tail == (transcript.text,)
