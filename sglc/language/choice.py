"""A `select` of a running program: how its choices are scored, and what the decision does to the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from sglc.backend.prompt import Prompt
from sglc.backend.request import Completion, Request
from sglc.errors import ProgramError
from sglc.ir.sampling import SamplingParams
from sglc.language.asking import Asking
from sglc.language.future import Future
from sglc.language.primitives import Select

_SCORING = SamplingParams(max_new_tokens=0, return_logprob=True, temperature=0.0)


class Choice(Asking):
    """A `select` on its way: one scoring per choice, two for methods that compare with the empty prompt."""

    __slots__ = ("_base", "_select", "_tokens")

    def __init__(self, select: Select, future: Future) -> None:
        super().__init__(future, select.location)
        self._select = select
        self._tokens: list[list[int]] = []

    def texts(self) -> list[tuple[str, bool]]:
        """Return the texts before the choices that they are not tokenized together with."""
        return self._split()[0].texts(self.state.row.engine.tokenizer.restarts_after_special)

    def _split(self) -> tuple[Prompt, str]:
        """Return the prompt without the text just before the choices, and that text."""
        prompt = self.state.prompt
        if prompt.tail and isinstance(prompt.tail[-1], str):
            return Prompt(prompt.tokens, prompt.tail[:-1], prompt.started), prompt.tail[-1]
        return prompt, ""

    def requests(self, encoded: Sequence[Sequence[int]]) -> list[Request]:
        """Return the scorings, given the encodings of `texts()`."""
        row = self.state.row
        tokenizer = row.engine.tokenizer
        before, text = self._split()
        restarting = bool(before.tail) and tokenizer.restarts_after_special  # a special token is just before
        at_start = restarting or not (before.started or before.tail)
        self._base = before.settle(encoded, tokenizer.prefix)
        scored: list[list[int]] = []
        requests: list[Request] = []
        for choice in self._select.choices:
            ids, ends = tokenizer.encode_with_ends(text + choice, at_start=at_start)
            first = next((i for i, end in enumerate(ends) if end > len(text)), None)
            if first is None:
                raise ProgramError(f"found the choice {choice!r}, which has no tokens; wanted text", self.location)
            self._tokens.append(ids)
            scored.append(ids[first:])
            requests.append(self._scoring(self._base.extended(ids), len(self._base.tokens) + first))
        if self._select.method.needs_unconditional:
            requests += [self._scoring(Prompt(started=True).extended(ids), 0) for ids in scored]
        return self._send(requests)

    def _scoring(self, prompt: Prompt, score_from: int) -> Request:
        row = self.state.row
        return Request(prompt.tokens, _SCORING, row.loop.inbox.put, score_from=score_from, priority=row.priority)

    def _finish(self, answers: list[Completion]) -> None:
        count = len(self._select.choices)
        scores = [answer.input_logprobs for answer in answers]
        rows = [[entry.logprob or 0.0 for entry in score] for score in scores]
        method = self._select.method
        decision = method.decide(rows[:count], rows[count:] if method.needs_unconditional else None)
        chosen = self._select.choices[decision.index]
        state = self.state
        state.prompt = self._base.extended(self._tokens[decision.index])
        state.pieces.append(chosen)
        self.future.meta = {
            "input_token_logprobs": scores[:count],
            "output_token_logprobs": [[] for _ in range(count)],
            **decision.meta_info,
        }
        if method.needs_unconditional:
            self.future.meta["unconditional_token_logprobs"] = scores[count:]
        self.future.live = chosen
        self.future.set(chosen)
