"""A `gen` of a running program: what it asks of the engine, and what its answer does to the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sglc.automata.constraint import Constraint
from sglc.automata.token_constraint import compile_json_schema, compile_regex
from sglc.backend.random_stream import stream_key
from sglc.backend.request import Completion, Delta, Request
from sglc.errors import ProgramError
from sglc.ir.sampling import SamplingParams
from sglc.language.asking import Asking
from sglc.language.future import Future
from sglc.language.primitives import Gen
from sglc.language.reasoning import split_reasoning

if TYPE_CHECKING:
    from sglc.backend.engine import Engine


class Generation(Asking):
    """A `gen` on its way: one request, or `n`; the prompt continues with the first one's text."""

    __slots__ = ("_gen", "_params", "_prompt", "_site", "in_message", "thoughts")

    def __init__(self, gen: Gen, params: SamplingParams, site: str, future: Future, thoughts: Future | None) -> None:
        super().__init__(future, gen.location)
        self._gen = gen
        self._params = params
        self._site = site
        self.thoughts = thoughts
        self.in_message = False

    def texts(self) -> list[tuple[str, bool]]:
        """Return the texts to be tokenized, each with whether it counts as the beginning of one."""
        return self.state.prompt.texts(self.state.row.engine.tokenizer.restarts_after_special)

    def requests(self, encoded: Sequence[Sequence[int]]) -> list[Request]:
        """Return the engine's requests, given the encodings of `texts()`."""
        state, params = self.state, self._params
        row = state.row
        tokenizer = row.engine.tokenizer
        self._prompt = state.prompt.settle(encoded, tokenizer.prefix)
        chat = tokenizer.chat if self.in_message else None
        end_ids: frozenset[int] = chat.end_ids if chat is not None else frozenset()
        if chat is not None and chat.end_strings:
            params = replace(params, stop=(*params.stop, *chat.end_strings))
        score_from = params.logprob_start_len if params.return_logprob else None
        if score_from is not None and score_from > len(self._prompt.tokens):
            found = f"found logprob_start_len = {score_from}"
            raise ProgramError(
                f"{found}; wanted at most {len(self._prompt.tokens)}, the prompt's tokens", self.location
            )
        requests = [
            Request(
                tokens=self._prompt.tokens,
                params=params,
                sink=row.loop.inbox.put,
                stream_key=stream_key(params.seed or 0, row.index, f"{self._site}:{sample}"),
                score_from=score_from,
                constraint=_constraint(self._gen, row.engine),
                end_ids=end_ids,
                priority=row.priority,
                streamed=row.streamed and sample == 0 and self._gen.reasoning is None,
            )
            for sample in range(params.n)
        ]
        return self._send(requests)

    def fail(self, error: BaseException) -> None:
        """Learn that it will never be answered."""
        super().fail(error)
        if self.thoughts is not None:
            self.thoughts.fail(error)

    def _show(self, delta: Delta) -> None:
        self.future.live += delta.text
        self.future.meta = {
            "prompt_tokens": delta.prompt_tokens,
            "completion_tokens": delta.completion_tokens,
            "finish_reason": None,
            "output_token_logprobs": delta.output_logprobs,
            "output_top_logprobs": delta.output_top,
        }
        self.state.live += delta.text

    def _finish(self, answers: list[Completion]) -> None:
        state, first = self.state, answers[0]
        texts = [completion.text for completion in answers]
        if self._gen.reasoning is not None:
            split = [split_reasoning(text, self._gen.reasoning) for text in texts]
            texts = [answer for _, answer in split]
            if self.thoughts is not None:
                thoughts = [thought for thought, _ in split]
                self.thoughts.set(thoughts if self._params.n > 1 else thoughts[0])
            state.prompt = state.prompt.append(texts[0])  # the thoughts never were in it
        else:
            state.prompt = self._prompt.extended(first.tokens).append(first.tail)
        state.pieces.append(texts[0])
        state.live = ""
        metas = [_meta(completion) for completion in answers]
        self.future.meta = metas[0] if self._params.n == 1 else {**metas[0], "samples": metas}
        self.future.finish = first.finish.kind
        self.future.live = texts[0]
        self.future.set(texts if self._params.n > 1 else texts[0])


def _constraint(gen: Gen, engine: Engine) -> Constraint | None:
    if gen.regex is not None:
        return compile_regex(gen.regex, engine.token_bytes)
    return compile_json_schema(gen.json_schema, engine.token_bytes) if gen.json_schema is not None else None


def _meta(completion: Completion) -> dict[str, Any]:
    finish = completion.finish
    reason: dict[str, Any] = {"type": finish.kind}
    if finish.kind == "length":
        reason["length"] = completion.completion_tokens
    else:
        reason["matched"] = finish.matched
    return {
        "prompt_tokens": completion.prompt_tokens,
        "cached_tokens": completion.cached_tokens,
        "completion_tokens": completion.completion_tokens,
        "finish_reason": reason,
        "input_token_logprobs": completion.input_logprobs,
        "output_token_logprobs": completion.output_logprobs,
        "input_top_logprobs": completion.input_top,
        "output_top_logprobs": completion.output_top,
    }
