"""A `gen` of a running program: a statement that waits for the engine, or is served what is known already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sglc.backend.decoding import Decode, Decoded, Decoding
from sglc.backend.prompt import Prompt
from sglc.backend.request import Delta
from sglc.errors import SglcError
from sglc.ir.sampling import SamplingParams
from sglc.language.future import Future
from sglc.language.primitives import Gen

if TYPE_CHECKING:
    from sglc.language.line import PromptLine


class Generation:
    """A `gen` on its way; the prompt continues with its first sample's text."""

    __slots__ = ("_asking", "_future", "_gen", "_params", "_site", "_state", "_thoughts", "in_message")

    _state: PromptLine

    def __init__(self, gen: Gen, params: SamplingParams, site: str, future: Future, thoughts: Future | None) -> None:
        self._gen = gen
        self._params = params
        self._site = site
        self._future = future
        self._thoughts = thoughts
        self._asking: Decoding | None = None
        self.in_message = False

    def start(self, state: PromptLine) -> bool:
        """Join the questions that the loop hands to the engine in one go; return whether the answer is known."""
        self._state = state
        row, gen = state.row, self._gen
        served = row.served.generations.get(self._site)
        if served is not None:
            self._take(served, state.prompt.settled(row.engine.tokenizer))
            return True
        decode = Decode(
            self._params,
            self._site,
            in_message=self.in_message,
            reasoning=gen.reasoning,
            regex=gen.regex,
            json_schema=gen.json_schema,
            grammar=gen.grammar,
            complete=gen.complete,
            shared=row.shares and self._params.greedy and self._params.n == 1,
            location=gen.location,
        )
        asking = self._asking = Decoding(decode, state.prompt, row.origin, self._done, self._failed, self._show)
        row.loop.exchange.pending.append(asking)
        return False

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be answered."""
        self._future.fail(error)
        if self._thoughts is not None:
            self._thoughts.fail(error)

    def _done(self, decoded: Decoded, asked: Prompt) -> None:
        if not decoded.borrowed:
            self._state.row.account(decoded.completions)
        self._take(decoded, asked)
        self._state.advance()

    def _take(self, decoded: Decoded, asked: Prompt) -> None:
        state = self._state
        if self._thoughts is not None:
            self._thoughts.set(decoded.thoughts)
        if decoded.reasoning is not None:
            state.prompt = state.prompt.append(decoded.text)  # the thoughts never were in it
        else:
            state.prompt = decoded.behind(asked)
        state.pieces.append(decoded.text)
        state.live = ""
        self._future.set_answer(decoded)

    def _failed(self, error: SglcError) -> None:
        if self._asking is not None:
            self._state.row.account(self._asking.completions)
        self.fail(error)
        self._state.poison(error)

    def _show(self, delta: Delta) -> None:
        self._future.live += delta.text
        self._future.meta = {
            "prompt_tokens": delta.prompt_tokens,
            "completion_tokens": delta.completion_tokens,
            "finish_reason": None,
            "output_token_logprobs": delta.output_logprobs,
            "output_top_logprobs": delta.output_top,
        }
        self._state.live += delta.text
